//! Whether the log is what was written.

use std::collections::{BTreeMap, HashMap};

use super::chain::{NOTHING, hash};
use super::{AuditStore, ChainId, Entry, Hash, Head};
use crate::StoreError;

/// Entries read at a time.
const PAGE: usize = 1000;

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// In which chain.
    pub chain: ChainId,
    /// At which place, the first is 1.
    pub place: i64,
    /// What is wrong there.
    pub problem: String,
}

/// A log that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries it has.
    pub entries: u64,
    /// The end of each chain: kept elsewhere, they prove later that nothing was written anew.
    pub heads: Vec<Head>,
}

#[derive(Default)]
struct Walk {
    entries: u64,
    current: Option<Head>,
    heads: BTreeMap<ChainId, Head>,
    /// What other entries say about a place of a chain.
    noted: HashMap<(ChainId, i64), (Hash, String)>,
    broken: Option<Broken>,
}

/// Reads the whole log. The inner error is the first entry, by chain and place, that was changed, removed, added or moved.
///
/// `kept` are ends of chains that were kept outside of the database: they must still be found.
pub async fn verify(store: &dyn AuditStore, kept: &[Head]) -> Result<Result<Verified, Broken>, StoreError> {
    let mut walk = Walk::default();
    // Asked for first: a writer may add entries while we read, and never takes any away.
    let listed = store.heads().await?;
    // Of several notes about one place the first counts: those that are hardest to change.
    for head in kept {
        walk.note(head, "the ends that were kept");
    }
    let mut after = None;
    // Twice: what an entry notes may stand in a chain that was read before.
    for look in [Look::Notes, Look::Links] {
        if matches!(look, Look::Links) {
            for head in &listed {
                walk.note(head, "the list of ends");
            }
        }
        loop {
            let page = store.in_chains(after, PAGE).await?;
            for entry in &page {
                let problem = match look {
                    Look::Notes => walk.take_notes(entry),
                    Look::Links => walk.step(entry).err(),
                };
                if let Some(problem) = problem {
                    return Ok(Err(Broken { chain: entry.chain, place: entry.place, problem }));
                }
                if let Some(broken) = walk.broken.take() {
                    return Ok(Err(broken));
                }
            }
            after = page.last().map(|entry| (entry.chain, entry.place));
            if page.len() < PAGE {
                break;
            }
        }
        after = None;
    }
    walk.finish_chain();
    if let Some(broken) = walk.broken.take() {
        return Ok(Err(broken));
    }
    let mut lost: Vec<_> = walk.noted.iter().map(|((chain, place), (_, by))| (*chain, *place, by.clone())).collect();
    lost.sort();
    if let Some((chain, place, by)) = lost.into_iter().next() {
        return Ok(Err(Broken { chain, place, problem: format!("the whole chain is gone; {by} knows it") }));
    }
    Ok(Ok(Verified { entries: walk.entries, heads: walk.heads.into_values().collect() }))
}

#[derive(Clone, Copy)]
enum Look {
    Notes,
    Links,
}

impl Walk {
    fn note(&mut self, head: &Head, by: &str) {
        if head.place > 0 {
            self.noted.entry((head.chain, head.place)).or_insert_with(|| (head.hash, by.to_owned()));
        }
    }

    fn take_notes(&mut self, recorded: &super::Recorded) -> Option<String> {
        // Most entries note nothing, and need not be read for it.
        if !recorded.body.contains("\"heads\"") {
            return None;
        }
        let Ok(entry) = serde_json::from_str::<Entry>(&recorded.body) else { return None };
        for head in &entry.heads {
            self.note(head, &format!("entry {} of chain {}", recorded.place, recorded.chain));
        }
        None
    }

    fn step(&mut self, recorded: &super::Recorded) -> Result<(), String> {
        if self.current.as_ref().is_none_or(|head| head.chain != recorded.chain) {
            self.finish_chain();
            self.current = Some(Head { chain: recorded.chain, place: 0, hash: NOTHING });
        }
        let Some(head) = &mut self.current else { return Ok(()) };
        if self.broken.is_some() {
            return Ok(());
        }
        if recorded.place != head.place + 1 {
            return Err(format!("expected place {}: entries were removed or moved", head.place + 1));
        }
        let expected = hash(head.hash, recorded.chain, recorded.place, &recorded.body);
        if expected != recorded.hash {
            return Err("its hash does not hold: it or an entry before it was changed, or it was moved here".to_owned());
        }
        let entry: Entry = serde_json::from_str(&recorded.body).map_err(|e| format!("it cannot be read: {e}"))?;
        if entry.millis() != recorded.at {
            return Err("its time was changed beside its text".to_owned());
        }
        if let Some((noted, by)) = self.noted.remove(&(recorded.chain, recorded.place))
            && noted != recorded.hash
        {
            return Err(format!("{by} knows it with another hash: the chain was written anew"));
        }
        *head = Head { chain: recorded.chain, place: recorded.place, hash: recorded.hash };
        self.entries += 1;
        Ok(())
    }

    /// Whether somebody has noted places behind the end of the chain that was just read.
    fn finish_chain(&mut self) {
        let Some(head) = self.current.take() else { return };
        let behind = self.noted.iter().filter(|((chain, place), _)| *chain == head.chain && *place > head.place);
        if let Some(((chain, _), (_, by))) = behind.min_by_key(|((_, place), _)| *place) {
            let problem = format!("entries were removed from the end; {by} knows more");
            self.broken = Some(Broken { chain: *chain, place: head.place + 1, problem });
        }
        self.heads.insert(head.chain, head);
    }
}
