//! A walk to a cloud beside AWS: what happened, who walked, and the telling of it.

use std::io;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use skybru_client::http::{Http, HttpOptions};
use skybru_client::token::{ClientIdentity, TokenRequest, TokenSource};
use skybru_core::{Ctx, IssuerUrl, Secret};
use skybru_protocol::jose::SigningKey;
use skybru_signer::LocalSigner;

use super::story::Refusal;
use super::tell::{quoted, tell_refusal};
use crate::lab::Lab;
use crate::lab::organisations::TIMETABLE;
use crate::print::{Printer, Style};

/// Everything that happened on the way to one cloud.
#[derive(Debug, Serialize)]
pub(super) struct Walk {
    /// Whether all that should succeed did, and all that should be refused was, for the right reason.
    pub(super) went_well: bool,
    pub(super) cloud: &'static str,
    /// The road, a sentence each.
    pub(super) steps: Vec<String>,
    pub(super) file: &'static str,
    pub(super) content: String,
    pub(super) refusals: Vec<Refusal>,
}

impl Walk {
    pub(super) fn new(
        cloud: &'static str,
        steps: Vec<String>,
        (file, content): (&'static str, String),
        refusals: Vec<Refusal>,
    ) -> Self {
        let went_well = content == TIMETABLE && refusals.iter().all(|refusal| refusal.as_it_must);
        Self { went_well, cloud, steps, file, content, refusals }
    }
}

/// Who walks: the same two organisations, with the tools that `skybru exec` and `skybru cp` use.
pub(super) struct Walkers {
    pub(super) http: Http,
    pub(super) consumer: Arc<TokenSource>,
    pub(super) outsider: Arc<TokenSource>,
}

impl Walkers {
    pub(super) fn new(lab: &Lab, ctx: &Ctx) -> Result<Self> {
        let http = Http::new(&HttpOptions { ca_pem: Some(lab.ca_pem().to_owned()), ..HttpOptions::default() })?;
        let issuer: IssuerUrl = lab.info.issuers.skyporten.parse()?;
        let source = |client: &str, file: &str| -> Result<Arc<TokenSource>> {
            let key = SigningKey::from_text(&std::fs::read_to_string(lab.info.data_dir.join(file))?, None)?;
            let identity = ClientIdentity::new(issuer.clone(), client.parse()?, LocalSigner::from(key));
            Ok(Arc::new(TokenSource::new(ctx.clone(), http.clone(), identity)))
        };
        let (consumer, outsider) = (source(&lab.demo.consumer, "client.jwk")?, source(&lab.demo.outsider, "outsider.jwk")?);
        Ok(Self { http, consumer, outsider })
    }

    /// A new token.
    pub(super) async fn token(&self, source: &Arc<TokenSource>, scope: &str, resource: &str) -> Result<Secret> {
        let request = TokenRequest::new(scope.parse()?).with_resource(resource);
        Ok(source.fresh(&request).await?.token.clone())
    }
}

pub(super) fn tell(printer: &Printer, walk: &Walk) -> io::Result<()> {
    let heading = |text: &str| printer.data(&printer.paint(Style::Heading, text));
    heading(&format!("The same file in {}, for the same two organisations", walk.cloud))?;
    for (place, step) in walk.steps.iter().enumerate() {
        printer.data(&format!("{} {step}", place + 1))?;
    }
    let content = printer.paint(Style::Good, &quoted(&walk.content));
    printer.data(&format!("{} B reads {}: {content}", walk.steps.len() + 1, walk.file))?;
    heading("Who must be refused is refused, in the service's own words")?;
    let mut said = "";
    for refusal in &walk.refusals {
        tell_refusal(printer, refusal, said)?;
        said = &refusal.text;
    }
    if walk.went_well {
        printer.data(&printer.paint(Style::Good, &format!("All went as it must at {}.", walk.cloud)))
    } else {
        printer.data(&printer.paint(Style::Bad, "Something did NOT go as it must: see the lines marked !!"))
    }
}
