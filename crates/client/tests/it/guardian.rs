//! The key guardian against an API and an issuer that can be cut off anywhere.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use skybru_client::guardian::Step::{Done, Forget, Keep, Make, Prove, Register, Retire, Swap};
use skybru_client::guardian::{Guardian, KeyFile, KeyFiles, Proof, Retirement, RotationError, Step, noted_expiry};
use skybru_client::selfservice::SelfServiceApi;
use skybru_client::token::TokenError;
use skybru_core::Secret;
use skybru_protocol::jose::SigningKey;

use crate::issuer::{TestIssuer, ctx, key, request};
use crate::{http, serve};

const EXP: i64 = 1_731_536_000;

#[derive(Default)]
struct World {
    keys: Vec<Value>,
    files: BTreeMap<&'static str, String>,
    /// Does what is asked at the API, and then answers with a failure: the answer got lost.
    lose_answers: bool,
    /// The issuer takes no key.
    blind: bool,
    posts: usize,
}

type Shared = Arc<Mutex<World>>;

struct Files(Shared);

fn name(which: KeyFile) -> &'static str {
    match which {
        KeyFile::Current => "current",
        KeyFile::Next => "next",
        KeyFile::Old => "old",
    }
}

impl KeyFiles for Files {
    fn read(&self, which: KeyFile) -> io::Result<Option<Secret>> {
        Ok(self.0.lock().unwrap().files.get(name(which)).cloned().map(Secret::from))
    }
    fn write(&self, which: KeyFile, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().files.insert(name(which), text.to_owned());
        Ok(())
    }
    fn put_in_place(&self) -> io::Result<()> {
        let mut world = self.0.lock().unwrap();
        let next = world.files.remove("next").ok_or(io::ErrorKind::NotFound)?;
        world.files.insert("current", next);
        Ok(())
    }
    fn remove(&self, which: KeyFile) -> io::Result<()> {
        self.0.lock().unwrap().files.remove(name(which));
        Ok(())
    }
}

impl World {
    /// Whether a token could be had right now with the key in use.
    fn works(&self) -> bool {
        let current = SigningKey::from_text(&self.files["current"], None).unwrap();
        self.keys.iter().any(|key| key["kid"] == current.kid().as_str())
    }
}

/// Asks the API's own list, as an issuer would.
struct Issuer(Shared, TestIssuer);

#[async_trait]
impl Proof for Issuer {
    async fn prove(&self, key: SigningKey) -> Result<(), TokenError> {
        let known = {
            let world = self.0.lock().unwrap();
            !world.blind && world.keys.iter().any(|one| one["kid"] == key.kid().as_str())
        };
        // The refusal is a real one, of a server that was told to refuse.
        let source = if known { self.1.source(&ctx().0) } else { refusing().await.source(&ctx().0) };
        source.token(&request()).await.map(|_| ())
    }
}

async fn refusing() -> TestIssuer {
    TestIssuer::start([crate::issuer::Step::Refuse(Some("invalid_client"), "unknown key")]).await
}

async fn api(world: &Shared) -> SelfServiceApi {
    async fn list(State(world): State<Shared>) -> Json<Value> {
        Json(json!({"keys": world.lock().unwrap().keys}))
    }
    async fn post(State(world): State<Shared>, Json(body): Json<Value>) -> Response {
        let mut world = world.lock().unwrap();
        world.keys.clone_from(body["keys"].as_array().unwrap());
        assert!((1..=5).contains(&world.keys.len()), "the API takes one to five keys");
        for key in &mut world.keys {
            assert!(key.get("d").is_none(), "no private half leaves this machine");
            key["exp"] = json!(EXP);
        }
        world.posts += 1;
        if world.lose_answers {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        Json(json!({"keys": world.keys})).into_response()
    }
    let app = Router::new().route("/api/v1/clients/client-1/jwks", get(list).post(post)).with_state(world.clone());
    let base = format!("http://{}/api/v1", serve(app).await);
    let tokens = TestIssuer::start([]).await.source(&ctx().0);
    SelfServiceApi::new(http(), &base, tokens, request())
}

fn world() -> Shared {
    let mut public = serde_json::to_value(key().public_jwk()).unwrap();
    public["exp"] = json!(EXP);
    let files = [("current", key().private_jwk().unwrap().to_string())].into();
    Arc::new(Mutex::new(World { keys: vec![public], files, ..World::default() }))
}

async fn run(world: &Shared, retirement: Retirement, steps: usize) -> Result<Vec<Step>, RotationError> {
    let (api, files) = (api(world).await, Files(world.clone()));
    let proof = Issuer(world.clone(), TestIssuer::start([]).await);
    let mut guardian = Guardian::new(&files, &api, "client-1".parse().unwrap(), &proof, retirement).with_pause(Duration::ZERO);
    let mut done = Vec::new();
    for _ in 0..steps {
        let step = guardian.look().await?;
        done.push(step);
        if step == Step::Done {
            break;
        }
        guardian.take(step).await?;
        assert!(world.lock().unwrap().works(), "after {step:?} no key works");
    }
    Ok(done)
}

#[tokio::test]
async fn a_key_is_made_registered_proven_put_in_place_and_the_old_one_taken_away() {
    let world = world();
    let steps = run(&world, Retirement::Now, 20).await.unwrap();
    assert_eq!(steps, [Make, Register, Prove, Keep, Swap, Retire, Forget, Done]);
    let world = world.lock().unwrap();
    assert_eq!(world.files.keys().collect::<Vec<_>>(), [&"current"]);
    assert_eq!(world.keys.len(), 1);
    assert_ne!(world.keys[0]["kid"], key().kid().as_str());
    assert_eq!(noted_expiry(&world.files["current"]).unwrap().as_second(), EXP, "the end is noted beside the key");
}

#[tokio::test]
async fn killed_after_any_step_it_goes_on_and_a_key_works_throughout() {
    for killed_after in 0..8 {
        let world = world();
        run(&world, Retirement::Now, killed_after).await.unwrap();
        assert!(world.lock().unwrap().works());
        run(&world, Retirement::Now, 20).await.unwrap();
        let world = world.lock().unwrap();
        assert_eq!((world.files.len(), world.keys.len()), (1, 1), "killed after {killed_after}");
        assert!(world.works() && world.keys[0]["kid"] != key().kid().as_str());
    }
}

#[tokio::test]
async fn an_answer_that_got_lost_is_seen_in_what_is_there() {
    let world = world();
    run(&world, Retirement::Now, 1).await.unwrap();
    world.lock().unwrap().lose_answers = true;
    let error = run(&world, Retirement::Now, 20).await.unwrap_err();
    assert!(matches!(error, RotationError::Api(_)), "{error:?}");
    world.lock().unwrap().lose_answers = false;
    assert_eq!(world.lock().unwrap().keys.len(), 2, "it was registered all the same");
    run(&world, Retirement::Now, 20).await.unwrap();
    assert_eq!(world.lock().unwrap().keys.len(), 1);
}

#[tokio::test]
async fn a_key_that_the_issuer_does_not_take_is_not_put_in_place() {
    let world = world();
    world.lock().unwrap().blind = true;
    let error = run(&world, Retirement::Now, 20).await.unwrap_err();
    assert!(matches!(error, RotationError::NotProven(_)), "{error:?}");
    let world = world.lock().unwrap();
    assert_eq!(SigningKey::from_text(&world.files["current"], None).unwrap().kid(), key().kid());
    assert!(world.works());
}

/// Files, and keys at the API.
fn counts(world: &Shared) -> (usize, usize) {
    let world = world.lock().unwrap();
    (world.files.len(), world.keys.len())
}

#[tokio::test]
async fn the_old_key_may_stay_for_a_while() {
    let world = world();
    assert_eq!(run(&world, Retirement::Later, 20).await.unwrap().last(), Some(&Step::Done));
    assert_eq!(counts(&world), (2, 2));
    assert_eq!(run(&world, Retirement::Later, 20).await.unwrap(), [Step::Done], "nothing new is begun meanwhile");
    assert_eq!(run(&world, Retirement::Now, 20).await.unwrap(), [Step::Retire, Step::Forget, Step::Done]);
    assert_eq!(counts(&world), (1, 1));
}

#[tokio::test]
async fn a_full_client_makes_room_by_what_has_expired_and_by_nothing_else() {
    let world = world();
    for n in 0..4 {
        world.lock().unwrap().keys.push(json!({"kid": format!("other-{n}"), "exp": EXP}));
    }
    let error = run(&world, Retirement::Now, 20).await.unwrap_err();
    assert!(matches!(error, RotationError::Full), "{error:?}");
    assert_eq!(world.lock().unwrap().posts, 0);
    world.lock().unwrap().keys[4]["exp"] = json!(1);
    run(&world, Retirement::Now, 20).await.unwrap();
    assert_eq!(world.lock().unwrap().keys.len(), 4, "three others, and the new one");
}
