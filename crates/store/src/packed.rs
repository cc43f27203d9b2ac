//! A million clients in memory: what they have in common once, what each has for itself in as few bytes as it takes.
//!
//! A [`Client`] as a value takes three to four kilobytes with its keys, most of it the same text over and over. Here it is a *shape*,
//! shared by all clients that differ only in name, organisation, scopes and times, and a string of bytes. It is put together again when
//! somebody asks; those that were asked for last are kept whole, with their keys parsed.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashTable;
use jiff::Timestamp;
use skybru_core::{ClientId, OrgNumber, ScopeName};
use skybru_protocol::base64url;
use skybru_protocol::jose::{Jwk, VerifyingKey};

use crate::registry::{Client, ClientKey, RegisteredClient, RegisteredKey};

/// So many clients are kept whole.
const WHOLE: usize = 4096;

struct Slot {
    shape: Arc<Client>,
    own: Box<[u8]>,
    keys: Box<[u8]>,
}

/// All clients.
pub(crate) struct Clients {
    slots: Vec<Slot>,
    by_id: HashTable<u32>,
    hashing: RandomState,
    /// Which clients an organisation owns or registered for others, in the order registered.
    of: HashMap<OrgNumber, Vec<u32>>,
    /// Clients that a platform registered in others' names, by what it is called.
    registered_by: HashMap<Box<str>, BTreeSet<u32>>,
    shapes: HashMap<Box<str>, Arc<Client>>,
    /// The shape that was needed last: most likely the next one's, too.
    last_shape: Option<Arc<Client>>,
    /// Shapes that nobody has any more are dropped when there are so many.
    shapes_limit: usize,
    scopes: Vec<ScopeName>,
    scope_places: HashMap<ScopeName, u32>,
    whole: Whole,
}

/// Clients that were asked for last, each at the place that its number gives it.
type Whole = Box<[Mutex<Option<(u32, RegisteredClient)>>]>;

impl Default for Clients {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            by_id: HashTable::new(),
            hashing: RandomState::new(),
            of: HashMap::new(),
            registered_by: HashMap::new(),
            shapes: HashMap::new(),
            last_shape: None,
            shapes_limit: 64,
            scopes: Vec::new(),
            scope_places: HashMap::new(),
            whole: (0..WHOLE).map(|_| Mutex::new(None)).collect(),
        }
    }
}

impl Clients {
    fn place(&self, id: &str) -> Option<u32> {
        self.by_id.find(self.hashing.hash_one(id), |place| self.id(*place) == Some(id.as_bytes())).copied()
    }

    fn id(&self, place: u32) -> Option<&[u8]> {
        Bytes(&self.slot(place)?.own).text()
    }

    fn slot(&self, place: u32) -> Option<&Slot> {
        self.slots.get(place as usize)
    }

    fn whole(&self, place: u32) -> std::sync::MutexGuard<'_, Option<(u32, RegisteredClient)>> {
        self.whole[place as usize % WHOLE].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for so many more, so that nothing has to be moved while they come.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.slots.reserve(more);
        let (slots, hashing) = (&self.slots, &self.hashing);
        self.by_id.reserve(more, |place| hashing.hash_one(slots.get(*place as usize).map_or("", |slot| text_of(&slot.own))));
    }

    /// Adds or replaces a client; its keys stay.
    pub(crate) fn put(&mut self, client: Client) {
        let platform = client.registered_by().map(Box::<str>::from);
        let owners: Vec<OrgNumber> = self::owners(client.client_orgno, client.supplier_orgno).collect();
        let id = client.client_id.clone();
        let own = self.pack(&client);
        let shape = self.shape(client);
        let (place, before) = match self.place(id.as_str()) {
            Some(place) => {
                let before = self.client(place);
                let slot = &mut self.slots[place as usize];
                (slot.shape, slot.own) = (shape, own);
                let before = before.map(|client| self::owners(client.client_orgno, client.supplier_orgno).collect());
                (place, before.unwrap_or_default())
            }
            None => (self.add(&id, Slot { shape, own, keys: Box::default() }), Vec::new()),
        };
        self.registered_by.values_mut().for_each(|places| _ = places.remove(&place));
        if let Some(platform) = platform {
            self.registered_by.entry(platform).or_default().insert(place);
        }
        for owner in before.iter().filter(|owner| !owners.contains(owner)) {
            self.of.entry(*owner).or_default().retain(|other| *other != place);
        }
        for owner in owners.into_iter().filter(|owner| !before.contains(owner)) {
            self.of.entry(owner).or_default().push(place);
        }
        *self.whole(place) = None;
    }

    fn add(&mut self, id: &ClientId, slot: Slot) -> u32 {
        // More than four thousand million clients do not fit into memory.
        let place = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(slot);
        let (slots, hashing) = (&self.slots, &self.hashing);
        let hash = |place: &u32| hashing.hash_one(slots.get(*place as usize).map_or("", |slot| text_of(&slot.own)));
        self.by_id.insert_unique(hashing.hash_one(id.as_str()), place, hash);
        place
    }

    /// Replaces all keys of a client. They must have been looked at. `false` when there is no such client.
    pub(crate) fn put_keys(&mut self, id: &ClientId, keys: &[ClientKey]) -> bool {
        let Some(place) = self.place(id.as_str()) else { return false };
        let mut packed = Vec::new();
        for key in keys {
            pack_key(&mut packed, key);
        }
        self.slots[place as usize].keys = packed.into();
        *self.whole(place) = None;
        true
    }

    /// What all clients like this one have in common.
    fn shape(&mut self, client: Client) -> Arc<Client> {
        let shape = Client {
            client_id: NOBODY.clone(),
            client_name: String::new(),
            description: String::new(),
            client_orgno: OrgNumber::LOWEST,
            supplier_orgno: None,
            scopes: Vec::new(),
            created: Timestamp::UNIX_EPOCH,
            last_updated: Timestamp::UNIX_EPOCH,
            ..client
        };
        if let Some(last) = self.last_shape.as_ref().filter(|last| ***last == shape) {
            return Arc::clone(last);
        }
        let Ok(text) = serde_json::to_string(&shape) else { return Arc::new(shape) };
        if let Some(known) = self.shapes.get(text.as_str()) {
            self.last_shape = Some(Arc::clone(known));
            return Arc::clone(known);
        }
        if self.shapes.len() >= self.shapes_limit {
            self.shapes.retain(|_, shape| Arc::strong_count(shape) > 1);
            self.shapes_limit = (self.shapes.len() * 2).max(64);
        }
        let shape = Arc::new(shape);
        self.shapes.insert(text.into(), Arc::clone(&shape));
        self.last_shape = Some(Arc::clone(&shape));
        shape
    }

    fn pack(&mut self, client: &Client) -> Box<[u8]> {
        let mut bytes = Vec::with_capacity(160);
        put_text(&mut bytes, client.client_id.as_str());
        put_text(&mut bytes, &client.client_name);
        put_text(&mut bytes, &client.description);
        put_text(&mut bytes, client.client_orgno.as_str());
        put_text(&mut bytes, client.supplier_orgno.as_ref().map_or("", OrgNumber::as_str));
        put_time(&mut bytes, client.created);
        put_time(&mut bytes, client.last_updated);
        for scope in &client.scopes {
            let place = self.scope_place(scope);
            put_number(&mut bytes, place as usize);
        }
        bytes.into()
    }

    fn scope_place(&mut self, scope: &ScopeName) -> u32 {
        if let Some(place) = self.scope_places.get(scope) {
            return *place;
        }
        let place = u32::try_from(self.scopes.len()).unwrap_or(u32::MAX);
        self.scopes.push(scope.clone());
        self.scope_places.insert(scope.clone(), place);
        place
    }

    fn client(&self, place: u32) -> Option<Client> {
        let slot = self.slot(place)?;
        let mut bytes = Bytes(&slot.own);
        let mut client = Client { client_id: bytes.parsed()?, ..Client::clone(&slot.shape) };
        bytes.string()?.clone_into(&mut client.client_name);
        bytes.string()?.clone_into(&mut client.description);
        client.client_orgno = bytes.parsed()?;
        let supplier = bytes.string()?;
        client.supplier_orgno = if supplier.is_empty() { None } else { Some(supplier.parse().ok()?) };
        client.created = bytes.time()?;
        client.last_updated = bytes.time()?;
        while !bytes.0.is_empty() {
            client.scopes.push(self.scopes.get(bytes.number()?)?.clone());
        }
        Some(client)
    }

    fn keys(&self, place: u32) -> Option<Vec<RegisteredKey>> {
        let mut bytes = Bytes(&self.slot(place)?.keys);
        let mut keys = Vec::new();
        while !bytes.0.is_empty() {
            let key = unpack_key(&mut bytes)?;
            let verifying = VerifyingKey::from_jwk(&key.jwk).ok()?;
            keys.push(RegisteredKey { key, verifying });
        }
        Some(keys)
    }

    /// The client with this id, whole.
    pub(crate) fn get(&self, id: &ClientId) -> Option<RegisteredClient> {
        let place = self.place(id.as_str())?;
        if let Some((kept, client)) = &*self.whole(place)
            && *kept == place
        {
            return Some(client.clone());
        }
        let client = RegisteredClient { client: Arc::new(self.client(place)?), keys: self.keys(place)?.into() };
        *self.whole(place) = Some((place, client.clone()));
        Some(client)
    }

    /// All clients, put together one after the other.
    pub(crate) fn all(&self) -> impl Iterator<Item = RegisteredClient> {
        (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX))
            .filter_map(|place| Some(RegisteredClient { client: Arc::new(self.client(place)?), keys: self.keys(place)?.into() }))
    }

    /// The clients that a platform registered in others' names.
    pub(crate) fn registered_by(&self, platform: &str) -> impl Iterator<Item = Arc<Client>> {
        let places = self.registered_by.get(platform).into_iter().flatten();
        places.filter_map(|place| self.client(*place).map(Arc::new))
    }

    /// The places of the same clients, each with the time when it was registered: from the one at `from` in no particular order, `most`
    /// at most.
    pub(crate) fn places_of(&self, organisation: OrgNumber, from: usize, most: usize) -> Vec<(Timestamp, u32)> {
        let places = self.of.get(&organisation).into_iter().flatten();
        places.skip(from).take(most).filter_map(|place| Some((self.created(*place)?, *place))).collect()
    }

    fn created(&self, place: u32) -> Option<Timestamp> {
        let mut bytes = Bytes(&self.slot(place)?.own);
        for _ in 0..TEXTS {
            bytes.text()?;
        }
        bytes.time()
    }

    /// The client at a place.
    pub(crate) fn at(&self, place: u32) -> Option<Arc<Client>> {
        self.client(place).map(Arc::new)
    }

    /// The clients that an organisation owns or registered for others.
    pub(crate) fn of(&self, organisation: OrgNumber) -> impl Iterator<Item = Arc<Client>> {
        let places = self.of.get(&organisation).into_iter().flatten();
        places.filter_map(|place| self.client(*place).map(Arc::new))
    }
}

/// So many texts stand before the times: id, name, description, organisation, supplier.
const TEXTS: usize = 5;

/// Stands for the client's id in a shape.
static NOBODY: std::sync::LazyLock<ClientId> = std::sync::LazyLock::new(|| "-".parse().expect("a dash is a client id"));

/// Whose client it is: the consumer's, and that of the supplier who registered it.
fn owners(consumer: OrgNumber, supplier: Option<OrgNumber>) -> impl Iterator<Item = OrgNumber> {
    std::iter::once(consumer).chain(supplier.filter(|supplier| *supplier != consumer))
}

fn text_of(own: &[u8]) -> &str {
    Bytes(own).string().unwrap_or_default()
}

fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    // Seven bits a byte, the highest bit says that more follow.
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn put_bytes(bytes: &mut Vec<u8>, value: &[u8]) {
    put_number(bytes, value.len());
    bytes.extend_from_slice(value);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_bytes(bytes, text.as_bytes());
}

fn put_time(bytes: &mut Vec<u8>, time: Timestamp) {
    bytes.extend_from_slice(&time.as_second().to_le_bytes());
    bytes.extend_from_slice(&time.subsec_nanosecond().to_le_bytes());
}

/// A key in its numbers, when it has the six members that nearly all have; else as JSON.
fn pack_key(bytes: &mut Vec<u8>, key: &ClientKey) {
    put_text(bytes, key.kid.as_str());
    put_time(bytes, key.created);
    put_time(bytes, key.expires);
    let jwk = &key.jwk;
    let numbers = |text: &Option<String>| text.as_ref().and_then(|text| base64url::decode(text).ok());
    if let (Some(n), Some(e), Some(alg)) = (numbers(&jwk.n), numbers(&jwk.e), &jwk.alg)
        && Jwk::rsa(key.kid.as_str(), alg, &n, &e) == *jwk
    {
        put_text(bytes, alg);
        put_bytes(bytes, &e);
        put_bytes(bytes, &n);
    } else {
        put_text(bytes, "");
        put_text(bytes, &serde_json::to_string(jwk).unwrap_or_default());
    }
}

fn unpack_key(bytes: &mut Bytes<'_>) -> Option<ClientKey> {
    let (kid, created, expires) = (bytes.string()?, bytes.time()?, bytes.time()?);
    let jwk = match bytes.string()? {
        "" => serde_json::from_str(bytes.string()?).ok()?,
        alg => {
            let (e, n) = (bytes.text()?, bytes.text()?);
            Jwk::rsa(kid, alg, n, e)
        }
    };
    Some(ClientKey { kid: kid.parse().ok()?, jwk, created, expires })
}

/// Reads what was packed.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn number(&mut self) -> Option<usize> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= usize::from(first & 0x7f).checked_shl(shift)?;
            if first & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn string(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.text()?).ok()
    }

    fn parsed<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.string()?.parse().ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        let (seconds, rest) = self.0.split_first_chunk::<8>()?;
        let (nanoseconds, rest) = rest.split_first_chunk::<4>()?;
        self.0 = rest;
        Timestamp::new(i64::from_le_bytes(*seconds), i32::from_le_bytes(*nanoseconds)).ok()
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").field("count", &self.slots.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn client(id: &str, org: &str, scopes: &[&str], name: &str) -> Client {
        serde_json::from_value(json!({
            "client_id": id, "client_name": name, "description": "cluster:ns:app", "client_orgno": org,
            "integration_type": "maskinporten", "application_type": "web", "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"], "scopes": scopes, "active": true,
            "created": "2026-11-01T00:00:00.123456789Z", "last_updated": "1969-11-01T00:00:00.5Z"
        }))
        .unwrap()
    }

    fn key(kid: &str, more: bool) -> ClientKey {
        let mut jwk = Jwk::rsa(kid, "RS256", &[0xC5; 256], &[1, 0, 1]);
        if more {
            jwk.other.insert("x5t".to_owned(), json!("abc"));
        }
        let created = "2026-11-01T00:00:00Z".parse().unwrap();
        ClientKey { kid: kid.parse().unwrap(), jwk, created, expires: created }
    }

    #[test]
    fn a_client_comes_back_as_it_went_in() {
        let mut clients = Clients::default();
        let one = client("a", "310702641", &["x:y", "x:z"], "Én");
        let two = Client { supplier_orgno: Some("314330897".parse().unwrap()), ..client("b", "310702641", &["x:z"], "To") };
        clients.put(one.clone());
        clients.put(two.clone());
        assert!(clients.put_keys(&one.client_id, &[key("k", false), key("l", true)]));
        assert!(!clients.put_keys(&"nobody".parse().unwrap(), &[]));
        let found = clients.get(&one.client_id).unwrap();
        assert_eq!(*found.client, one);
        assert_eq!(found.keys.iter().map(|key| key.key.clone()).collect::<Vec<_>>(), [key("k", false), key("l", true)]);
        assert_eq!(*clients.get(&two.client_id).unwrap().client, two);
        assert_eq!(clients.shapes.len(), 1, "they differ in nothing that belongs to the shape");
        assert_eq!(clients.of("314330897".parse().unwrap()).count(), 1);
        assert_eq!(clients.all().count(), 2);
    }

    #[test]
    fn what_was_kept_whole_is_forgotten_when_it_changes() {
        let mut clients = Clients::default();
        let before = client("a", "310702641", &["x:y"], "before");
        clients.put(before.clone());
        assert_eq!(clients.get(&before.client_id).unwrap().keys.len(), 0);
        clients.put_keys(&before.client_id, &[key("k", false)]);
        assert_eq!(clients.get(&before.client_id).unwrap().keys.len(), 1);
        clients.put(Client { active: false, client_orgno: "314330897".parse().unwrap(), ..before.clone() });
        let after = clients.get(&before.client_id).unwrap();
        assert!(!after.client.active && after.keys.len() == 1);
        assert_eq!((clients.of("310702641".parse().unwrap()).count(), clients.of(after.client.client_orgno).count()), (0, 1));
    }

    /// Two clients whose numbers fall on the same place among those kept whole are not mixed up.
    #[test]
    fn neighbours_are_told_apart() {
        let mut clients = Clients::default();
        for n in 0..=WHOLE {
            clients.put(client(&format!("c{n}"), "310702641", &["x:y"], &n.to_string()));
        }
        for n in [0, WHOLE, 0, WHOLE] {
            assert_eq!(clients.get(&format!("c{n}").parse().unwrap()).unwrap().client.client_name, n.to_string());
        }
    }

    proptest! {
        #[test]
        fn any_client_comes_back(
            id in "[a-z0-9._-]{1,128}",
            name in ".{0,300}",
            scopes in prop::collection::vec("[a-z]{1,9}:[a-z]{1,9}", 0..20),
            lifetime in any::<u32>(),
        ) {
            let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
            let client = Client { access_token_lifetime: lifetime, ..client(&id, "310702641", &scopes, &name) };
            let mut clients = Clients::default();
            clients.put(client.clone());
            prop_assert_eq!(&*clients.get(&client.client_id).unwrap().client, &client);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Bytes(&bytes);
            let _ = unpack_key(&mut reader);
            let _ = (Bytes(&bytes).time(), Bytes(&bytes).number(), Bytes(&bytes).string());
        }
    }
}
