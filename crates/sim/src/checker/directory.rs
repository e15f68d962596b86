//! Checks that the directory lists exactly the connected workers.

use std::collections::BTreeMap;

use majordomus_core::{Form, Frames, Outcome, PeerId, Reply};

use super::model::{Peer, Side};
use super::{Cause, Checker, Rule};

impl Checker {
    /// Returns true if the broker answers directory requests, because no worker does.
    pub(super) fn owns_directory(&self) -> bool {
        let own = self.model.find_service(b"$dir");
        own.is_none_or(|own| self.model.services[own].workers == 0)
    }

    pub(super) fn directory_answered(&mut self, peer: PeerId, reply: &Reply) {
        if self.step.answered {
            return self.accuse(Rule::AfterFinal, format!("{peer} gets it twice: {reply:?}"));
        }
        self.step.answered = true;
        let there = self.offered_names();
        let name = asked_for(&self.step.body);
        let right = match (&name, reply.body.get(0).and_then(listed)) {
            (Some(name), Some(List::One(workers))) => {
                let there = there.get(name).cloned().unwrap_or_default();
                sorted(workers) == sorted(there)
            }
            (None, Some(List::All(all))) => {
                let all = all.into_iter().map(|(name, workers)| (name, sorted(workers)));
                all.eq(there.into_iter().map(|(name, workers)| (name, sorted(workers))))
            }
            _ => false,
        };
        if !self.can_be_read(peer, &reply.body, &[]) {
            return self.accuse(Rule::Form, format!("{peer} cannot read {:?}", reply.body));
        }
        // A reader of frames receives one frame of JSON.
        let written = reply.body.form() == self.step.body.form() && reply.body.len() == 1;
        if !right || !written || reply.asked != self.step.note || reply.id != self.step.id {
            self.accuse(Rule::Directory, format!("asked for {name:?} it says {:?}", reply.body));
        }
    }

    fn offered_names(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for peer in self.model.all_peers() {
            let Side::Worker(worker) = &peer.side else { continue };
            for (service, _) in &worker.offers {
                let service = self.model.services[*service].name.to_string();
                all.entry(service).or_default().push(name_of(peer));
            }
        }
        all
    }

    /// Handles a missing directory answer: the answer must exceed the size limit.
    pub(super) fn settle_directory(&mut self, peer: PeerId) -> Outcome {
        if self.step.answered {
            return Outcome::Replied;
        }
        let there = self.offered_names();
        let list = |workers: &Vec<String>| {
            2 + workers.iter().map(|name| name.len() + 3).sum::<usize>().saturating_sub(1)
        };
        let bytes = match asked_for(&self.step.body) {
            Some(name) => there.get(&name).map_or(2, list),
            None => {
                let one = |(name, workers): (&String, &Vec<String>)| name.len() + 4 + list(workers);
                2 + there.iter().map(one).sum::<usize>().saturating_sub(1)
            }
        };
        let text = Frames::from_slices(&[vec![b' '; bytes]]).in_form(self.step.body.form(), 0);
        self.settle_unreadable(peer, &text)
    }

    /// Handles a missing answer of a built-in service: the answer must exceed the size limit.
    pub(super) fn settle_unreadable(&mut self, peer: PeerId, text: &Frames) -> Outcome {
        let outcome = Outcome::Untranslatable;
        let can = self.model.client(peer).map(|client| client.can);
        let told = can.is_some_and(|can| can.told.contains(outcome));
        let at = self.step.failures.iter().position(|word| {
            (word.peer, word.outcome) == (peer, outcome) && word.reply.id == self.step.id
        });
        if self.can_be_read(peer, text, &[]) || at.is_some() != told {
            self.accuse(Rule::Told, format!("{peer} gets no answer of a service of ours"));
        }
        if let Some(at) = at {
            self.step.failures.swap_remove(at);
        }
        outcome
    }

    /// Checks that the edition changes after each change of the directory, and only then.
    pub(super) fn check_directory(&mut self, edition: u64) {
        let grown = edition > self.edition;
        self.edition = edition;
        if grown != self.step.directory_changed && self.step.cause != Cause::Shutdown {
            let text = format!("edition {edition}; changed: {}", self.step.directory_changed);
            self.accuse(Rule::Directory, text);
        }
    }
}

/// Returns the name of a peer in the directory.
pub(super) fn name_of(peer: &Peer) -> String {
    match peer.identity.is_empty() {
        true => peer.id.to_string(),
        false => peer.identity.to_string(),
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// Returns the name that a directory request asks for, if any.
pub(super) fn asked_for(body: &Frames) -> Option<String> {
    let text = String::from_utf8_lossy(body.get(0)?).into_owned();
    let name = match body.form() {
        Form::Frames => text,
        Form::Json => text.trim_matches('"').to_string(),
    };
    (!name.is_empty()).then_some(name)
}

enum List {
    /// The workers with one name.
    One(Vec<String>),
    /// All names with their workers.
    All(BTreeMap<String, Vec<String>>),
}

/// Parses a directory without escaped names.
fn listed(json: &[u8]) -> Option<List> {
    let text = str::from_utf8(json).ok()?;
    let workers = |text: &str| -> Option<Vec<String>> {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        let names = inner.split(',').filter(|name| !name.is_empty());
        names.map(|name| Some(name.strip_prefix('"')?.strip_suffix('"')?.to_string())).collect()
    };
    let Some(mut rest) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return workers(text).map(List::One);
    };
    let mut all = BTreeMap::new();
    while !rest.is_empty() {
        let (name, more) = rest.trim_start_matches(',').strip_prefix('"')?.split_once("\":")?;
        let end = more.find(']')? + 1;
        all.insert(name.to_string(), workers(&more[..end])?);
        rest = &more[end..];
    }
    Some(List::All(all))
}
