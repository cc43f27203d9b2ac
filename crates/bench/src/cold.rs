//! `skybru-bench cold`: `skybru credentials`, started from nothing, against the shell recipe of Skyporten's guide: openssl signs, curl and jq
//! fetch the token, the aws CLI exchanges it. Both against the same lab, in turn.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::product::{Lab, program};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct ColdArgs {
    /// Times that each is run; the median is reported
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    skybru_ms: f64,
    recipe_ms: f64,
    /// The recipe's time over ours.
    ratio: f64,
}

/// The guide's steps, as a person would put them into a file.
const RECIPE: &str = r#"set -eu
b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
now=$(date +%s)
header=$(printf '{"kid":"%s","alg":"RS256","typ":"JWT"}' "$KID" | b64)
claims=$(printf '{"aud":"%s","iss":"%s","scope":"%s","resource":"%s","iat":%s,"exp":%s,"jti":"%s"}' \
  "$ISSUER" "$CLIENT" "$SCOPE" "$RESOURCE" "$now" "$((now + 100))" "$(openssl rand -hex 16)" | b64)
signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -sign key.pem -binary | b64)
token=$(curl -s --cacert "$CA" -d grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer \
  --data-urlencode "assertion=$header.$claims.$signature" "$ISSUER/token" | jq -r .access_token)
aws sts assume-role-with-web-identity --role-arn "$ROLE" --role-session-name recipe --web-identity-token "$token"
"#;

pub(crate) fn run(args: &ColdArgs) -> Result<()> {
    let program = program()?;
    let folder = tempfile::tempdir()?;
    let lab = Lab::start(&program, folder.path())?;
    let settings = lab.get("/demo/config_file")?;
    let kid = pem(folder.path(), Path::new(lab.get("/demo/client_jwk_file")?))?;
    fs::write(folder.path().join("recipe.sh"), RECIPE)?;

    let ours = || {
        let mut command = Command::new(&program);
        command.args(["--config", settings, "credentials", "demo"]);
        command
    };
    let recipe = || -> Result<Command> {
        let mut command = Command::new("sh");
        command.arg("recipe.sh").current_dir(folder.path());
        for (name, pointer) in [
            ("ISSUER", "/issuers/skyporten"),
            ("CLIENT", "/demo/client_id"),
            ("SCOPE", "/demo/scope"),
            ("RESOURCE", "/demo/resource"),
            ("CA", "/ca_file"),
            ("AWS_ENDPOINT_URL", "/clouds/aws/endpoint"),
            ("AWS_DEFAULT_REGION", "/clouds/aws/region"),
        ] {
            command.env(name, lab.get(pointer)?);
        }
        command.env("KID", &kid).env("ROLE", "arn:aws:iam::123456789012:role/skyporten-timetables");
        // Version 1 of the CLI would fetch an argument that looks like an address.
        command.env("AWS_CONFIG_FILE", "/dev/null").env("HOME", folder.path());
        Ok(command)
    };
    let (mut our_times, mut recipe_times) = (Vec::new(), Vec::new());
    // Once each, unmeasured: files come into the page cache for both.
    timed(ours())?;
    timed(recipe()?)?;
    for _ in 0..args.rounds.max(1) {
        our_times.push(timed(ours())?);
        recipe_times.push(timed(recipe()?)?);
    }
    let (ours, recipe) = (median(our_times), median(recipe_times));
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let report = Report { skybru_ms: ms(ours), recipe_ms: ms(recipe), ratio: ms(recipe) / ms(ours) };
    print(&report, args.json)
}

#[expect(clippy::print_stdout, reason = "this is its purpose")]
fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        println!(
            "skybru credentials {:.1} ms, recipe {:.0} ms: {:.0} × faster",
            report.skybru_ms, report.recipe_ms, report.ratio
        );
    }
    Ok(())
}

/// How long a command takes that must print credentials.
fn timed(mut command: Command) -> Result<Duration> {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().context("running a command under measurement")?;
    let elapsed = begun.elapsed();
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(printed.contains("SecretAccessKey"), "no credentials: {}", String::from_utf8_lossy(&output.stderr));
    Ok(elapsed)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Writes the JWK as PEM, which openssl signs with, and returns its key id.
fn pem(folder: &Path, jwk: &Path) -> Result<String> {
    let jwk: Value = serde_json::from_slice(&fs::read(jwk)?).context("the client's key")?;
    let mut numbers = "asn1=SEQUENCE:key\n[key]\nversion=INTEGER:0\n".to_owned();
    for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let bytes = URL_SAFE_NO_PAD.decode(jwk[name].as_str().context("a number of the key")?)?;
        let mut hex = String::new();
        for byte in bytes {
            write!(hex, "{byte:02x}")?;
        }
        writeln!(numbers, "{name}=INTEGER:0x{hex}")?;
    }
    fs::write(folder.join("key.cnf"), numbers)?;
    for arguments in
        [["asn1parse", "-genconf", "key.cnf", "-noout", "-out", "key.der"], ["rsa", "-inform", "DER", "-in", "key.der", "-out"]]
    {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(folder);
        if arguments[0] == "rsa" {
            command.arg("key.pem");
        }
        let output = command.output().context("running openssl")?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    }
    jwk["kid"].as_str().map(str::to_owned).context("the key's id")
}
