//! Access control lists of Data Lake Storage Gen2 (E-67): POSIX with named users, a mask, and defaults that new children inherit.
//!
//! A list is looked at only where no role allows the operation. Every folder above the path must let the caller through (`x`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::AzureError;

/// E-67: so many entries in each of the two lists. The number is from documentation, not seen.
const MOST_ENTRIES: usize = 32;

/// What an entry allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Permissions {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
}

impl Permissions {
    /// `r--`.
    pub const READ: Self = Self { read: true, write: false, execute: false };
    /// `-w-`.
    pub const WRITE: Self = Self { read: false, write: true, execute: false };
    /// `--x`.
    pub const EXECUTE: Self = Self { read: false, write: false, execute: true };
    /// `r-x`.
    pub const READ_EXECUTE: Self = Self { read: true, write: false, execute: true };
    /// `-wx`.
    pub const WRITE_EXECUTE: Self = Self { read: false, write: true, execute: true };
    const ALL: Self = Self { read: true, write: true, execute: true };

    fn parse(text: &str) -> Option<Self> {
        let [r, w, x] = *text.as_bytes() else { return None };
        let one = |given: u8, letter: u8| (given == letter || given == b'-').then_some(given == letter);
        Some(Self { read: one(r, b'r')?, write: one(w, b'w')?, execute: one(x, b'x')? })
    }

    /// From one octal digit.
    fn of_digit(digit: u32) -> Self {
        Self { read: digit & 4 != 0, write: digit & 2 != 0, execute: digit & 1 != 0 }
    }

    fn and(self, other: Self) -> Self {
        Self { read: self.read && other.read, write: self.write && other.write, execute: self.execute && other.execute }
    }

    fn or(self, other: Self) -> Self {
        Self { read: self.read || other.read, write: self.write || other.write, execute: self.execute || other.execute }
    }

    fn covers(self, wanted: Self) -> bool {
        self.and(wanted) == wanted
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, letter) in [(self.read, 'r'), (self.write, 'w'), (self.execute, 'x')] {
            write!(f, "{}", if held { letter } else { '-' })?;
        }
        Ok(())
    }
}

/// Whom an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Who {
    /// The owner, or a user or service principal by its object id.
    User(Option<String>),
    /// The owning group, or another.
    Group(Option<String>),
    /// The most that named users and groups get.
    Mask,
    /// Everybody else.
    Other,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Whom it is about.
    pub who: Who,
    /// What it allows.
    pub permissions: Permissions,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = match &self.who {
            Who::User(id) => ("user", id.as_deref()),
            Who::Group(id) => ("group", id.as_deref()),
            Who::Mask => ("mask", None),
            Who::Other => ("other", None),
        };
        write!(f, "{kind}:{}:{}", id.unwrap_or_default(), self.permissions)
    }
}

/// The lists of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// The owner's object id.
    pub owner: String,
    /// The owning group's.
    pub group: String,
    /// What counts for the path itself.
    pub access: Vec<Entry>,
    /// What new children of a folder begin with.
    pub default: Vec<Entry>,
}

impl Acl {
    /// The list of a path whose parent has no defaults: `rwxr-x---` for folders, `rw-r-----` for files (the umask is 027).
    pub fn of_owner(owner: &str, is_folder: bool) -> Self {
        let file = Permissions { execute: false, ..Permissions::ALL };
        let (own, group) = if is_folder { (Permissions::ALL, Permissions::READ_EXECUTE) } else { (file, Permissions::READ) };
        let access = vec![
            Entry { who: Who::User(None), permissions: own },
            Entry { who: Who::Group(None), permissions: group },
            Entry { who: Who::Other, permissions: Permissions::default() },
        ];
        Self { owner: owner.to_owned(), group: "$superuser".to_owned(), access, default: Vec::new() }
    }

    /// What a new child of this folder begins with. Without defaults, as if it stood alone.
    #[must_use]
    pub fn child(&self, owner: &str, is_folder: bool) -> Self {
        if self.default.is_empty() {
            return Self { group: self.group.clone(), ..Self::of_owner(owner, is_folder) };
        }
        let default = if is_folder { self.default.clone() } else { Vec::new() };
        Self { owner: owner.to_owned(), group: self.group.clone(), access: self.default.clone(), default }
    }

    /// The list after `x-ms-acl`: what it names is replaced whole. Entries for owner, group and others that it leaves out stay.
    ///
    /// That they may be left out is inferred from published commands that do; the codes of the refusals are unconfirmed.
    pub fn set(&self, text: &str, is_folder: bool) -> Result<Self, AzureError> {
        let invalid =
            |why: &str| AzureError::new("E-67", "InvalidInput", 400, format!("The access control list is invalid: {why}."));
        let (mut access, mut default) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (list, rest) = match part.strip_prefix("default:") {
                Some(rest) => (&mut default, rest),
                None => (&mut access, part),
            };
            let entry = parse_entry(rest).ok_or_else(|| invalid(&format!("'{part}' is no entry")))?;
            if list.iter().any(|other: &Entry| other.who == entry.who) {
                return Err(invalid(&format!("'{part}' stands twice")));
            }
            list.push(entry);
        }
        if !default.is_empty() && !is_folder {
            return Err(invalid("a file has no default entries"));
        }
        let access = completed(access, &self.access);
        let default = if default.is_empty() { default } else { completed(default, &access) };
        if access.len() > MOST_ENTRIES || default.len() > MOST_ENTRIES {
            return Err(invalid(&format!("more than {MOST_ENTRIES} entries")));
        }
        Ok(Self { access, default, ..self.clone() })
    }

    /// The list after `x-ms-permissions`: `rwxr-x---` or `0750`.
    pub fn set_permissions(&self, text: &str) -> Result<Self, AzureError> {
        let invalid = || AzureError::new("E-67", "InvalidInput", 400, format!("The permissions '{text}' are invalid."));
        let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(8)).collect();
        let three = match digits.as_deref() {
            Some([a, b, c] | [0, a, b, c]) => [*a, *b, *c].map(Permissions::of_digit),
            _ if text.is_ascii() && text.len() == 9 => {
                let part = |at: usize| Permissions::parse(&text[at..at + 3]).ok_or_else(invalid);
                [part(0)?, part(3)?, part(6)?]
            }
            _ => return Err(invalid()),
        };
        let mut changed = self.clone();
        let has_mask = changed.access.iter().any(|entry| entry.who == Who::Mask);
        for entry in &mut changed.access {
            match &entry.who {
                Who::User(None) => entry.permissions = three[0],
                Who::Mask => entry.permissions = three[1],
                Who::Group(None) if !has_mask => entry.permissions = three[1],
                Who::Other => entry.permissions = three[2],
                _ => {}
            }
        }
        Ok(changed)
    }

    /// `rwxr-x---`, with a `+` when there is more than the three.
    pub fn permissions_text(&self) -> String {
        let of = |who: &Who| self.find(who).unwrap_or_default();
        let group = self.find(&Who::Mask).unwrap_or_else(|| of(&Who::Group(None)));
        let plus = if self.access.len() > 3 { "+" } else { "" };
        format!("{}{group}{}{plus}", of(&Who::User(None)), of(&Who::Other))
    }

    fn find(&self, who: &Who) -> Option<Permissions> {
        self.access.iter().find(|entry| entry.who == *who).map(|entry| entry.permissions)
    }

    /// Whether a principal may do this here: the owner's entry, else a named one within the mask, else that of others within the mask.
    pub fn allows(&self, principal: &str, wanted: Permissions) -> bool {
        if self.owner.eq_ignore_ascii_case(principal) {
            return self.find(&Who::User(None)).unwrap_or_default().covers(wanted);
        }
        let mask = self.find(&Who::Mask).unwrap_or(Permissions::ALL);
        let named = self.access.iter().find(|entry| match &entry.who {
            Who::User(Some(id)) => id.eq_ignore_ascii_case(principal),
            _ => false,
        });
        let held = named.map_or_else(|| self.find(&Who::Other).unwrap_or_default(), |entry| entry.permissions);
        held.and(mask).covers(wanted)
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = self.access.iter().map(Entry::to_string);
        let default = self.default.iter().map(|entry| format!("default:{entry}"));
        f.write_str(&access.chain(default).collect::<Vec<_>>().join(","))
    }
}

fn parse_entry(text: &str) -> Option<Entry> {
    let mut parts = text.split(':');
    let (kind, id, permissions, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let id = (!id.is_empty()).then(|| id.to_owned());
    let who = match (kind, id) {
        ("user", id) => Who::User(id),
        ("group", id) => Who::Group(id),
        ("mask", None) => Who::Mask,
        ("other", None) => Who::Other,
        _ => return None,
    };
    Some(Entry { who, permissions: Permissions::parse(permissions)? })
}

/// With the three base entries, from `base` where they are missing, and a mask when somebody is named.
fn completed(mut entries: Vec<Entry>, base: &[Entry]) -> Vec<Entry> {
    for who in [Who::User(None), Who::Group(None), Who::Other] {
        if !entries.iter().any(|entry| entry.who == who) {
            let permissions = base.iter().find(|entry| entry.who == who).map(|entry| entry.permissions).unwrap_or_default();
            entries.push(Entry { who, permissions });
        }
    }
    let is_named = |entry: &Entry| matches!(entry.who, Who::User(Some(_)) | Who::Group(Some(_)));
    if entries.iter().any(is_named) && !entries.iter().any(|entry| entry.who == Who::Mask) {
        let limited = entries.iter().filter(|entry| is_named(entry) || entry.who == Who::Group(None));
        let permissions = limited.fold(Permissions::default(), |all, entry| all.or(entry.permissions));
        entries.push(Entry { who: Who::Mask, permissions });
    }
    let place = |entry: &Entry| match entry.who {
        Who::User(None) => 0,
        Who::User(_) => 1,
        Who::Group(None) => 2,
        Who::Group(_) => 3,
        Who::Mask => 4,
        Who::Other => 5,
    };
    entries.sort_by_key(place);
    entries
}
