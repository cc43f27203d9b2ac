//! The AWS simulator on a port, with an issuer beside it, to try unmodified clients against.
//!
//! `cargo run -p skybru-sim --example aws_sim -- PORT [STATE_DIR]` prints the settings for the `aws` command, then answers until it is
//! interrupted.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example talks, and stops at the first surprise")]

#[path = "../tests/it/issuer.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the tests, which use all of it")]
mod issuer;

use std::sync::Arc;

use jiff::Timestamp;
use skybru_core::{Clock, Ctx, Randomness, Secret};
use skybru_sim::aws::{AwsSettings, AwsSim, AwsSimOptions};

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "an example is a binary: here the real time comes in")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).unwrap();
    }
}

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("info").init();
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(0, |port| port.parse().unwrap());
    let state_dir = arguments.next().map(Into::into);
    let clock = Arc::new(SystemClock);
    let sim = AwsSim::start(AwsSimOptions {
        port,
        state_dir,
        ctx: Ctx::new(clock.clone(), Arc::new(SystemRandomness)),
        wire_clock: clock.clone(),
        account: "123456789012".to_owned(),
        region: "eu-north-1".to_owned(),
        root_access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        root_secret_access_key: Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        settings: AwsSettings::default(),
        extra_roots_pem: None,
    })
    .await
    .unwrap();
    let issuer = issuer::TestIssuer::tls().await;
    let token = issuer.token(clock.unix_seconds(), &serde_json::json!({"exp": clock.unix_seconds() + 3600}));
    println!("export AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION=eu-north-1", sim.base_url());
    println!("export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    println!("export ISSUER={} HOST={} THUMBPRINT={}", issuer.url, issuer.host(), issuer.thumbprint.as_deref().unwrap());
    println!("export TOKEN={token}");
    std::future::pending::<()>().await;
}
