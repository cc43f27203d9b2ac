//! Which step comes next, from what can be seen.

use std::collections::BTreeSet;

/// A step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make the next key and write it down.
    Make,
    /// Register it beside the old one.
    Register,
    /// Get a token with it.
    Prove,
    /// Keep the old one beside its place.
    Keep,
    /// Put the next one in its place.
    Swap,
    /// Take the old one away at the API.
    Retire,
    /// Remove its file.
    Forget,
    /// Nothing is left to do.
    Done,
}

/// What happens to the old key once the new one is in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retirement {
    /// It is taken away at once.
    Now,
    /// It stays, for other processes that still use it, until a later run with [`Retirement::Now`].
    Later,
}

/// What can be seen of a rotation: key ids, here and at the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// In the file in use.
    pub current: String,
    /// In the file of the next key.
    pub next: Option<String>,
    /// In the file of the key that was in use before.
    pub old: Option<String>,
    /// At the API.
    pub registered: BTreeSet<String>,
    /// Whether this run got a token with the next key.
    pub proven: bool,
    /// Whether this run did anything yet. What an earlier run left is finished first, and then nothing more is begun.
    pub begun: bool,
}

/// The step that is to be done now.
pub fn next_step(seen: &Seen, retirement: Retirement) -> Step {
    match (&seen.next, &seen.old) {
        (Some(next), _) if !seen.registered.contains(next) => Step::Register,
        // A proof of yesterday proves nothing today.
        (Some(_), _) if !seen.proven => Step::Prove,
        (Some(_), old) if old.as_ref() != Some(&seen.current) => Step::Keep,
        (Some(_), _) => Step::Swap,
        // The old key's own file is in use again: somebody put it back, and it must not be taken away.
        (None, Some(old)) if *old == seen.current => Step::Forget,
        (None, Some(old)) if seen.registered.contains(old) && seen.registered.contains(&seen.current) => match retirement {
            Retirement::Now => Step::Retire,
            Retirement::Later => Step::Done,
        },
        (None, Some(old)) if seen.registered.contains(old) => Step::Done,
        (None, Some(_)) => Step::Forget,
        (None, None) if seen.begun => Step::Done,
        (None, None) => Step::Make,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does a step to what is seen, as the guardian does it to the world.
    fn take(seen: &mut Seen, step: Step, made: &mut u32) {
        seen.begun = true;
        match step {
            Step::Make => {
                *made += 1;
                seen.next = Some(format!("key-{made}"));
            }
            Step::Register => {
                seen.registered.extend(seen.next.clone());
            }
            Step::Prove => seen.proven = seen.next.as_ref().is_some_and(|next| seen.registered.contains(next)),
            Step::Keep => seen.old = Some(seen.current.clone()),
            Step::Swap => seen.current = seen.next.take().unwrap(),
            Step::Retire => {
                let old = seen.old.clone().unwrap();
                seen.registered.remove(&old);
            }
            Step::Forget => seen.old = None,
            Step::Done => {}
        }
    }

    /// Every run is cut off after so many steps, and begun anew; the key in use works at every moment.
    #[test]
    fn wherever_it_is_interrupted_a_key_works_and_the_rotation_ends() {
        for first in 0..10 {
            for second in 0..10 {
                let (mut made, mut seen) = (0, Seen { current: "key-0".to_owned(), ..Seen::default() });
                seen.registered.insert("key-0".to_owned());
                for limit in [first, second, 100] {
                    (seen.proven, seen.begun) = (false, false);
                    for _ in 0..limit {
                        let step = next_step(&seen, Retirement::Now);
                        take(&mut seen, step, &mut made);
                        assert!(seen.registered.contains(&seen.current), "after {step:?}: {seen:?}");
                        assert!(seen.registered.len() <= 2, "{seen:?}");
                        if step == Step::Done {
                            break;
                        }
                    }
                }
                assert!((1..=3).contains(&made) && seen.next.is_none() && seen.old.is_none(), "{first} {second}: {seen:?}");
                assert_eq!(seen.registered.len(), 1);
            }
        }
    }

    #[test]
    fn a_key_that_was_not_proven_in_this_run_is_not_put_in_place() {
        let seen = Seen {
            current: "a".to_owned(),
            next: Some("b".to_owned()),
            old: Some("a".to_owned()),
            registered: ["a".to_owned(), "b".to_owned()].into(),
            ..Seen::default()
        };
        assert_eq!(next_step(&seen, Retirement::Now), Step::Prove);
        assert_eq!(next_step(&Seen { proven: true, ..seen }, Retirement::Now), Step::Swap);
    }

    #[test]
    fn the_old_key_stays_until_it_is_told_to_go_and_while_the_new_one_is_not_registered() {
        let seen = Seen {
            current: "b".to_owned(),
            old: Some("a".to_owned()),
            registered: ["a".to_owned(), "b".to_owned()].into(),
            ..Seen::default()
        };
        assert_eq!(next_step(&seen, Retirement::Later), Step::Done);
        assert_eq!(next_step(&seen, Retirement::Now), Step::Retire);
        let lost = Seen { registered: ["a".to_owned()].into(), ..seen };
        assert_eq!(next_step(&lost, Retirement::Now), Step::Done, "somebody took the new one away: the old one is all there is");
    }
}
