//! Reading the layers and putting one over the other.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::nais::{self, Injected};
use super::options::Options;
use crate::system::System;

/// Variables that begin so are settings: `SKYBRU_TARGETS__DEMO__SCOPE` is `targets.demo.scope`.
const PREFIX: &str = "SKYBRU_";

/// Variables that begin so but are flags' own.
const FLAGS: [&str; 6] =
    ["SKYBRU_CONFIG", "SKYBRU_LOG", "SKYBRU_LOG_FORMAT", "SKYBRU_ISSUER_DIR", "SKYBRU_WEB_PROXY", "SKYBRU_KMS_TOKEN_FILE"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The settings file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// The platform: variables that Nais injects into a pod.
    Nais(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Nais(place) => write!(f, "{place} (Nais)"),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file that was named is not there, or cannot be read.
    #[error("cannot read the settings file {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("the settings file {path} is not TOML")]
    Syntax {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A key that nobody knows, a missing one, or a wrong type.
    #[error("setting {key}: {problem}")]
    Key { key: String, problem: String },
    /// A name that stands nowhere.
    #[error("there is no {kind} {:?} in the settings{}", shortened(.name), listed(.known))]
    Unknown { kind: &'static str, name: String, known: Vec<String> },
    /// Nothing was named, and there is not exactly one.
    #[error("no target was named, and the settings have {}", if .0.is_empty() { "none".to_owned() } else { format!("several: {}", .0.join(", ")) })]
    Unnamed(Vec<String>),
    /// A value that means nothing.
    #[error("setting {key}: {problem}")]
    Value { key: String, problem: String },
    /// A private key cannot be had.
    #[error("cannot read the private key of client {client:?} from {place}")]
    PrivateKey {
        client: String,
        place: String,
        /// What to look at.
        advice: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What was pasted for a name may be anything, a token too.
fn shortened(name: &str) -> String {
    let start: String = name.chars().take(40).collect();
    if start.len() < name.len() { format!("{start}…") } else { start }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there are: {}", names.join(", ")) }
}

/// The known name that a slip of the finger makes this one of.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let distance = |known: &&String| strsim::osa_distance(name, known);
    known.iter().min_by_key(distance).filter(|near| distance(near) <= 2)
}

impl SettingsError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => {
                Some("name another file with --config or SKYBRU_CONFIG, or leave both out to use ./skybru.toml".to_owned())
            }
            Self::Unnamed(known) if known.is_empty() => {
                Some("is skybru.toml in this folder? name it with --config FILE; `skybru try` needs none".to_owned())
            }
            Self::Unknown { kind, known, .. } if known.is_empty() => {
                Some(format!("no {kind} is configured at all: is skybru.toml in this folder? name it with --config FILE"))
            }
            Self::Unknown { name, known, .. } => nearest(name, known).map(|near| format!("did you mean {near:?}?")),
            Self::PrivateKey { advice, .. } => Some((*advice).to_owned()),
            _ => None,
        }
    }
}

/// The settings in effect.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// What they say.
    pub(crate) options: Options,
    /// Where each value came from, by its dotted name.
    pub(crate) origins: BTreeMap<String, (String, Origin)>,
    /// The folder to which files in them are relative.
    pub(crate) folder: PathBuf,
    /// The file itself, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// How the machine reaches the world.
    pub(crate) proxy: ProxyVariables,
}

/// The variables with which a machine names its web proxy. Only addresses with https go through one: plain http is for this machine.
#[derive(Debug, Default)]
pub(crate) struct ProxyVariables {
    /// `HTTPS_PROXY` or `ALL_PROXY`, in either case.
    pub(crate) address: Option<String>,
    /// `NO_PROXY`.
    pub(crate) direct: Option<String>,
}

impl ProxyVariables {
    fn of(system: &System) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| system.var(name)).map(str::to_owned);
        Self {
            address: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            direct: first(&["no_proxy", "NO_PROXY"]),
        }
    }
}

impl Settings {
    /// Reads `file`, or the first default file that is there, and puts the environment over it.
    pub(crate) fn load(file: Option<&Path>, system: &System) -> Result<Self, SettingsError> {
        let mut merged = Table::new();
        let mut origins = BTreeMap::new();
        for Injected { origin, setting, value } in nais::injected(system, Path::new(nais::FOLDER)) {
            let path: Vec<String> = setting.split('.').map(str::to_owned).collect();
            put(&mut merged, &mut origins, &path, Value::String(value), Origin::Nais(origin));
        }
        let file = file.map(|path| system.folder.join(path)).or_else(|| default_file(system));
        if let Some(path) = &file {
            let read = std::fs::read_to_string(path);
            let text = read.map_err(|source| SettingsError::Unreadable { path: path.clone(), source })?;
            let table: Table =
                text.parse().map_err(|source| SettingsError::Syntax { path: path.clone(), source: Box::new(source) })?;
            put_table(&mut merged, &mut origins, &mut Vec::new(), table, path);
        }
        let mut variables = Vec::new();
        for (name, value) in &system.env {
            let Some(rest) = name.strip_prefix(PREFIX).filter(|_| !FLAGS.contains(&name.as_str())) else { continue };
            let path: Vec<String> = rest.split("__").map(|part| part.to_lowercase().replace('_', "-")).collect();
            put(&mut merged, &mut origins, &path, Value::String(value.clone()), Origin::Variable(name.clone()));
            variables.push(path);
        }
        let options = typed(merged, variables)?;
        let folder = file.as_deref().and_then(Path::parent).map_or_else(|| system.folder.clone(), Path::to_path_buf);
        Ok(Self { options, origins, folder, file, proxy: ProxyVariables::of(system) })
    }
}

/// Makes settings of the merged layers. A variable is a text, and stays one where a text is expected: an account of twelve digits, say.
/// Where something else is expected it is read as TOML writes it: `90`, `true`, `["a", "b"]`.
fn typed(mut merged: Table, mut variables: Vec<Vec<String>>) -> Result<Options, SettingsError> {
    loop {
        let error = match serde_path_to_error::deserialize(Value::Table(merged.clone())) {
            Ok(options) => return Ok(options),
            Err(error) => error,
        };
        let key = error.path().to_string();
        // Each variable is read anew once at most, so this ends.
        let place = variables.iter().position(|path| path.join(".") == key);
        let read = place.map(|place| variables.swap_remove(place)).and_then(|path| {
            let slot = slot(&mut merged, &path)?;
            *slot = slot.as_str()?.parse().ok().filter(|value: &Value| !value.is_str())?;
            Some(())
        });
        if read.is_none() {
            return Err(SettingsError::Key { key, problem: error.inner().message().to_owned() });
        }
    }
}

fn slot<'a>(table: &'a mut Table, path: &[String]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get_mut(first)?;
    if rest.is_empty() { Some(value) } else { slot(value.as_table_mut()?, rest) }
}

fn default_file(system: &System) -> Option<PathBuf> {
    let here = system.folder.join("skybru.toml");
    let configured = directories::ProjectDirs::from("", "", "skybru").map(|dirs| dirs.config_dir().join("skybru.toml"));
    [Some(here), configured].into_iter().flatten().find(|path| path.is_file())
}

type Origins = BTreeMap<String, (String, Origin)>;

fn put_table(merged: &mut Table, origins: &mut Origins, path: &mut Vec<String>, table: Table, file: &Path) {
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(inner) => put_table(merged, origins, path, inner, file),
            value => put(merged, origins, path, value, Origin::File(file.to_path_buf())),
        }
        path.pop();
    }
}

/// Puts one value, over whatever was there. A value where a table stands gives way to the table.
fn put(merged: &mut Table, origins: &mut Origins, path: &[String], value: Value, origin: Origin) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut table = merged;
    for parent in parents {
        let slot = table.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
        if !slot.is_table() {
            *slot = Value::Table(Table::new());
        }
        let Some(inner) = slot.as_table_mut() else { return };
        table = inner;
    }
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    origins.insert(path.join("."), (shown, origin));
    table.insert(last.clone(), value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use skybru_core::Ctx;

    fn system(folder: &Path, env: &[(&str, &str)]) -> System {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        System { env, folder: folder.to_path_buf(), ctx: Ctx::fixed(0, 0).0 }
    }

    const FILE: &str = r#"
        [clients.demo]
        issuer = "https://test.sky.maskinporten.no"
        client-id = "a"
        key = { file = "client.jwk" }
        [targets.timetables]
        client = "demo"
        scope = "entur:skyporten.demo"
    "#;

    fn load(text: &str, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("skybru.toml"), text).unwrap();
        Settings::load(None, &system(folder.path(), env))
    }

    #[test]
    fn a_variable_beats_the_file_and_says_so() {
        let settings = load(FILE, &[("SKYBRU_CLIENTS__DEMO__CLIENT_ID", "b")]).unwrap();
        assert_eq!(settings.options.clients["demo"].client_id, "b");
        let (value, origin) = &settings.origins["clients.demo.client-id"];
        assert_eq!((value.as_str(), origin.to_string().as_str()), ("b", "variable SKYBRU_CLIENTS__DEMO__CLIENT_ID"));
        assert!(matches!(settings.origins["clients.demo.issuer"].1, Origin::File(_)));
    }

    #[test]
    fn a_variable_is_read_as_what_is_expected() {
        let server = "[server]\ndata = \"d\"\noperator = \"312605031\"\napi-listen = \"127.0.0.1:0\"\n";
        let env = [
            ("SKYBRU_SERVER__KEY_BITS", "3072"),
            ("SKYBRU_SERVER__OPERATOR", "312605031"),
            ("SKYBRU_CLIENTS__DEMO__KEY__ROTATE_DAYS", "90"),
        ];
        let settings = load(&format!("{FILE}{server}"), &env).unwrap();
        assert_eq!(settings.options.clients["demo"].key.rotate_days, Some(90));
        let server = settings.options.server.unwrap();
        assert_eq!((server.key_bits, server.operator.as_str()), (3072, "312605031"));
        for wrong in ["ninety", "\"90\"", "90 # days", "", "90\nfile = 1", "-1"] {
            let error = load(FILE, &[("SKYBRU_CLIENTS__DEMO__KEY__ROTATE_DAYS", wrong)]);
            assert!(error.unwrap_err().to_string().starts_with("setting clients.demo.key.rotate-days: "), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_wherever_it_stands() {
        let error = load(&FILE.replace("client-id", "client_id"), &[]).unwrap_err().to_string();
        assert!(error.starts_with("setting clients.demo.client_id: unknown field `client_id`"), "{error}");
        let error = load(FILE, &[("SKYBRU_TARGETS__TIMETABLES__SKOPE", "x")]).unwrap_err().to_string();
        assert!(error.contains("targets.timetables.skope"), "{error}");
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let error = Settings::load(Some(Path::new("nothing.toml")), &system(folder.path(), &[])).unwrap_err();
        assert!(matches!(error, SettingsError::Unreadable { .. }) && error.hint().is_some());
    }

    #[test]
    fn in_a_nais_pod_no_file_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let env = [
            ("MASKINPORTEN_CLIENT_ID", "id"),
            ("MASKINPORTEN_CLIENT_JWK", "{}"),
            ("MASKINPORTEN_ISSUER", "https://maskinporten.no/"),
            ("MASKINPORTEN_SCOPES", "a:b c:d"),
        ];
        let settings = Settings::load(None, &system(folder.path(), &env)).unwrap();
        assert_eq!(settings.options.clients["maskinporten"].key.env.as_deref(), Some("MASKINPORTEN_CLIENT_JWK"));
        assert_eq!(settings.options.targets["maskinporten"].scope, "a:b c:d");
    }
}
