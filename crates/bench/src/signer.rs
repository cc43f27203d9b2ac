//! What it costs that a signing key may live anywhere: a token signed through the trait against one signed with the key itself.

use anyhow::Result;
use clap::Args;
use cpu_time::ThreadTime;
use serde_json::{Value, json};
use skybru_protocol::base64url;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey, signing_input};
use skybru_signer::{LocalSigner, Signer, sign_token};

/// Arguments of `signer`.
#[derive(Debug, Args)]
pub(crate) struct SignerArgs {
    /// Tokens a round
    #[arg(long, default_value_t = 2_000)]
    tokens: u32,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 15)]
    rounds: usize,
}

/// Prints one line a key type: both ways through the trait, in CPU time relative to the key itself.
#[expect(clippy::print_stdout, reason = "this is its purpose")]
pub(crate) fn run(args: &SignerArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let claims = json!({"aud": "https://skyporten.example.no", "sub": "0192:917422575;entur:skyporten.demo", "exp": 1_800_000_120,
        "iat": 1_800_000_000, "iss": "https://sky.example.no", "jti": "x".repeat(43)});
    println!("key         the key itself   through the trait   with a boxed future");
    for key in [SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?, SigningKey::generate_p256()?] {
        let name = key.algorithm().name();
        let signer = LocalSigner::from(key);
        let mut ratios = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            let own = cpu(args.tokens, || Ok(signer.key().sign(Some("JWT"), &claims).map(|_| ())?))?;
            let through = cpu(args.tokens, || Ok(runtime.block_on(sign_token(&signer, Some("JWT"), &claims)).map(|_| ())?))?;
            let boxed = cpu(args.tokens, || runtime.block_on(boxed(&signer, &claims)))?;
            ratios.0.push(through / own);
            ratios.1.push(boxed / own);
        }
        println!("{name:<12}1.000            {:<20.3}{:.3}", median(&mut ratios.0), median(&mut ratios.1));
    }
    Ok(())
}

/// As a key elsewhere is signed with, though it lies here.
async fn boxed(signer: &dyn Signer, claims: &Value) -> Result<()> {
    let mut compact = signing_input(signer.kid(), signer.algorithm(), Some("JWT"), claims)?;
    let signature = signer.sign(compact.as_bytes()).await?;
    compact.push('.');
    compact.push_str(&base64url::encode(signature));
    drop(compact);
    Ok(())
}

/// CPU seconds of `work` done `times` times.
fn cpu(times: u32, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = ThreadTime::try_now()?;
    for _ in 0..times {
        work()?;
    }
    Ok(start.try_elapsed()?.as_secs_f64())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
