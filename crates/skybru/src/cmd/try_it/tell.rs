//! Telling what happened, in under forty lines.

use std::io;

use super::story::{Refusal, Story};
use crate::print::{Printer, Style};

pub(super) fn tell(printer: &Printer, story: &Story) -> io::Result<()> {
    let line = |text: &str| printer.data(text);
    let heading = |text: &str| printer.data(&printer.paint(Style::Heading, text));
    let (cast, road) = (&story.cast, &story.road);

    heading("Organisation A shares a file in AWS with organisation B. All of it happens on this machine.")?;
    line(&format!("  A  {:<16} {}  owns the bucket {}", cast.provider.name, cast.provider.org, road.bucket))?;
    line(&format!("  B  {:<16} {}  wants {}", cast.consumer.name, cast.consumer.org, road.file))?;
    line(&format!("  C  {:<16} {}  was not invited", cast.outsider.name, cast.outsider.org))?;
    heading("The road")?;
    line(&format!("1 A grants B the scope {}, and tells its AWS role to trust the issuer", road.scope))?;
    line(&format!("  {} for nobody but \"{}\"", road.issuer, road.subject))?;
    line("2 B asks the issuer, proving itself with its own private key, and gets a token that says who it is,")?;
    line(&format!("  what it may ask for and where ({}); it lives {} s", road.audience, road.token_lives_seconds))?;
    line("3 AWS fetches the issuer's public key, checks the token against A's rule, and lends B the role")?;
    line(&format!("  {} for {} minutes", short_role(&road.assumed_role), road.credentials_live_minutes))?;
    line(&format!("4 B reads {}: {}", road.file, printer.paint(Style::Good, &quoted(&road.content))))?;
    line("No password, access key or secret has gone from A to B: there is none that could leak.")?;
    line("")?;
    heading("Who must be refused is refused, in the service's own words")?;
    let mut said = "";
    for refusal in &story.refusals {
        tell_refusal(printer, refusal, said)?;
        said = &refusal.text;
    }
    line("")?;
    heading("And the guide of 2023 that ended in an error nobody could explain")?;
    let unexplained = &story.unexplained_error;
    tell_refusal(printer, &unexplained.refusal, "")?;
    line(&format!("     why: {}", unexplained.what))?;
    line(&format!("     mend: {}", unexplained.fix))?;
    if story.went_well {
        line(&printer.paint(Style::Good, "All went as it must. Go on with: skybru up"))
    } else {
        line(&printer.paint(Style::Bad, "Something did NOT go as it must: see the lines marked !!"))
    }
}

/// The code on one line, the words on the next, unless they were said just before.
pub(super) fn tell_refusal(printer: &Printer, refusal: &Refusal, said: &str) -> io::Result<()> {
    let mark = if refusal.as_it_must { printer.paint(Style::Good, "ok") } else { printer.paint(Style::Bad, "!!") };
    let code = refusal.code.as_deref().unwrap_or("no code");
    printer.data(&format!("{mark} {:<43} {} {code}", refusal.attempt, refusal.by))?;
    if refusal.text == said {
        return Ok(());
    }
    printer.data(&printer.paint(Style::Dim, &format!("     {}", shortened(&refusal.text))))
}

/// The role and session of an assumed-role ARN.
fn short_role(arn: &str) -> &str {
    arn.split_once(":assumed-role/").map_or(arn, |(_, rest)| rest)
}

/// On one line, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.trim_end().replace('\n', " | "))
}

/// At most a line of a wide terminal, without the caller's own name; the whole text is in `--json`.
fn shortened(text: &str) -> String {
    const WIDTH: usize = 120;
    let text = text.find(" is not authorized to perform: ").map_or(text, |at| &text[at + 1..]);
    if text.chars().count() <= WIDTH { text.to_owned() } else { format!("{}…", text.chars().take(WIDTH).collect::<String>()) }
}
