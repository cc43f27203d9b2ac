//! What was found: gathered, put in order, printed.

use std::io;

use serde::Serialize;
use serde_json::json;
use skybru_federation::lint::{SeenToken, Verdict};
use skybru_federation::reach::Admission;
use skybru_federation::{Explanation, Finding, Organisations, Severity, Speaker, Who, difference};

use crate::print::{Printer, Style};

/// A finding and where it was made: a file, a variable, a step of the road.
#[derive(Debug, Serialize)]
struct Item {
    #[serde(rename = "where")]
    place: String,
    #[serde(flatten)]
    finding: Finding,
    /// Guessed from an error text alone.
    #[serde(skip)]
    possible: bool,
}

/// Everything that there is to say.
#[derive(Debug, Default)]
pub(crate) struct Report {
    items: Vec<Item>,
    notes: Vec<String>,
    /// What error texts mean.
    pub(crate) explanations: Vec<Explanation>,
    /// Whom what the clouds have been told could let in.
    pub(crate) reaches: Vec<Admission>,
    /// An error text that no rule explains.
    pub(crate) has_unknown_text: bool,
    /// The token in a line.
    pub(crate) token: Option<String>,
    /// The token itself, if it was asked for.
    pub(crate) shown_token: Option<String>,
}

impl Report {
    /// Adds a finding. What was guessed before is now known.
    pub(crate) fn push(&mut self, place: &str, finding: Finding) {
        self.items.retain(|item| !(item.possible && item.finding.rule == finding.rule));
        let known = |item: &Item| item.finding.rule == finding.rule && item.finding.what == finding.what;
        if !self.items.iter().any(known) {
            self.items.push(Item { place: place.to_owned(), finding, possible: false });
        }
    }

    /// Adds a guess, unless more is known.
    pub(crate) fn push_possible(&mut self, place: &str, finding: Finding) {
        if !self.items.iter().any(|item| item.finding.rule == finding.rule) {
            self.items.push(Item { place: place.to_owned(), finding, possible: true });
        }
    }

    /// Something to know that is no finding, such as what could not be looked at.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// The worst that was found.
    pub(crate) fn worst(&self) -> Option<Severity> {
        self.items.iter().map(|item| item.finding.severity).max()
    }

    /// What explains an error that was seen comes first; guesses go last, and out where something that was looked at explains the error.
    pub(crate) fn lead_with_what_explains(&mut self) {
        let explains = |item: &Item| {
            self.explanations
                .iter()
                .any(|explanation| explanation.mistakes.contains(&item.finding.rule) || explanation.rule == item.finding.rule)
        };
        let is_explained =
            self.items.iter().any(|item| !item.possible && item.finding.severity == Severity::Error && explains(item));
        let rank = |item: &Item| {
            let severity = item.finding.severity;
            (severity == Severity::Advice, item.possible, !explains(item), std::cmp::Reverse(severity))
        };
        let mut ranked: Vec<_> = std::mem::take(&mut self.items).into_iter().map(|item| (rank(&item), item)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        self.items = ranked.into_iter().map(|(_, item)| item).filter(|item| !(item.possible && is_explained)).collect();
    }

    /// For people, or as JSON.
    pub(crate) fn print(&self, printer: &Printer) -> io::Result<()> {
        if printer.json {
            return self.print_json(printer);
        }
        for note in &self.notes {
            printer.say(note);
        }
        if let Some(token) = &self.token {
            printer.data(token)?;
        }
        if let Some(token) = &self.shown_token {
            printer.data(token)?;
        }
        for explanation in &self.explanations {
            let speaker = match explanation.speaker {
                Speaker::Issuer => "the issuer",
                Speaker::Aws => "AWS",
                Speaker::Google => "Google",
                Speaker::Azure => "Azure",
            };
            let text = format!("{speaker} says ({}): {}", explanation.rule, explanation.meaning);
            printer.data(&printer.paint(Style::Heading, &text))?;
        }
        for reach in &self.reaches {
            printer.data(&line_of(reach))?;
        }
        for item in &self.items {
            print_item(printer, item)?;
        }
        if self.has_unknown_text {
            printer.data(
                "no rule explains the error text; give what it is about too: a target, a token, what the cloud has been told",
            )?;
        } else if self.worst() <= Some(Severity::Advice) {
            printer.data("nothing wrong was found")?;
        }
        Ok(())
    }

    fn print_json(&self, printer: &Printer) -> io::Result<()> {
        let mut object = json!({ "findings": self.items });
        let optional = [
            ("explanations", (!self.explanations.is_empty()).then(|| json!(self.explanations))),
            ("reach", (!self.reaches.is_empty()).then(|| json!(self.reaches))),
            ("notes", (!self.notes.is_empty()).then(|| json!(self.notes))),
            ("token", self.shown_token.as_ref().map(|token| json!(token))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                object[name] = value;
            }
        }
        printer.object(&object)
    }
}

fn print_item(printer: &Printer, Item { place, finding, .. }: &Item) -> io::Result<()> {
    let (style, word) = match finding.severity {
        Severity::Error => (Style::Bad, "error"),
        Severity::Warning => (Style::Heading, "warning"),
        Severity::Advice => (Style::Dim, "advice"),
    };
    let who = match finding.who {
        Who::Issuer => "the issuer's operator",
        Who::Provider => "the data's provider",
        Who::Consumer => "the consumer",
    };
    printer.data(&format!("{} {} in {place}: {}", printer.paint(style, word), finding.rule, finding.what))?;
    if let (Some(expected), Some(found)) = (&finding.expected, &finding.found) {
        printer.data(&format!("    expected  {expected}"))?;
        printer.data(&format!("    found     {found}"))?;
        if let Some(place) = difference(expected, found) {
            printer.data(&format!("              {}^ from here", " ".repeat(place)))?;
        }
    }
    for effect in &finding.clouds {
        let verdict = match effect.verdict {
            Verdict::Accepts => "takes it",
            Verdict::Refuses => "refuses",
            Verdict::Unconfirmed => "may refuse (unconfirmed)",
        };
        let line = format!("    {} {verdict} ({}): {}", effect.cloud.name(), effect.rule, effect.says);
        printer.data(&printer.paint(Style::Dim, &line))?;
    }
    printer.data(&format!("    mend ({who}): {}", finding.fix))
}

/// The claims that matter, without the token.
pub(crate) fn line_of_token(token: &SeenToken, now: i64) -> String {
    let text = |name: &str| token.text(name).unwrap_or("(absent)").to_owned();
    let time = match token.seconds("exp") {
        None => "no exp".to_owned(),
        Some(exp) if exp < now => format!("expired {} s ago", now.saturating_sub(exp)),
        Some(exp) => format!("expires in {} s", exp.saturating_sub(now)),
    };
    let audiences = token.audiences();
    let audiences = if audiences.is_empty() { "(absent)".to_owned() } else { audiences.join(" ") };
    let kid = token.kid.as_deref().unwrap_or("(absent)");
    format!("token: iss {}, sub {}, aud {audiences}, {}, kid {kid}, {time}", text("iss"), text("sub"), token.alg)
}

/// `statement 1 can let in …`: whom a rule is about, whatever token was looked at.
fn line_of(admission: &Admission) -> String {
    let who = match &admission.organisations {
        Organisations::Any => "any organisation".to_owned(),
        Organisations::Only(numbers) if numbers.is_empty() => "no organisation".to_owned(),
        Organisations::Only(numbers) => numbers.iter().map(|number| format!("0192:{number}")).collect::<Vec<_>>().join(", "),
    };
    let listed = [("subjects", &admission.subjects), ("audiences", &admission.audiences)].into_iter();
    let listed = listed.filter_map(|(name, values)| Some((name, values.as_ref()?))).map(|(name, values)| {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        format!("; {name}: {}", values.join(", "))
    });
    format!("{} can let in {who}{}", admission.rule, listed.collect::<String>())
}
