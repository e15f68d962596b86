//! The directory: `$dir`, a service of the broker's own that says who offers what, unless a worker
//! offers that name.
//!
//! Asked for a name, it answers with the workers that offer exactly this one; asked for nothing, with
//! all names. The answer is JSON in both cases.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::statistics::End;
use super::{Broker, Turn};
use crate::{Form, Frames, FramesView, Label, Outcome, PeerId, RequestView};

/// The name of the directory.
pub(super) const NAME: &[u8] = b"$dir";

/// Who offers what, worked out when it is asked for after a change.
#[derive(Debug, Default)]
pub(super) struct Directory {
    known: Option<Known>,
    /// How often it was to be published.
    edition: u64,
}

#[derive(Debug)]
struct Known {
    /// The workers of each name, as JSON.
    services: BTreeMap<Label, Bytes>,
    /// All of it, as JSON.
    all: Bytes,
}

impl Directory {
    /// Who offers what is another from now on.
    pub(super) fn changed(&mut self) {
        self.known = None;
        self.edition += 1;
    }

    /// Somebody wants it published, though it is the same.
    pub(super) fn wanted(&mut self) {
        self.edition += 1;
    }
}

impl Broker {
    /// Who offers what: a JSON object with an array of the workers' names for each service that is
    /// offered.
    ///
    /// A worker's name is its identity, or a name of ours where it has none that is text.
    ///
    /// ```
    /// use majordomus_core::broker::{Broker, Config, Keys};
    ///
    /// let mut broker = Broker::new(Config::default(), Keys([1, 2, 3, 4]));
    /// assert_eq!(broker.directory(), "{}");
    /// ```
    pub fn directory(&mut self) -> Bytes {
        self.known_directory().all.clone()
    }

    /// A number that grows whenever the directory has changed, or somebody wants it published.
    pub fn directory_edition(&self) -> u64 {
        self.directory.edition
    }

    /// Answers for the directory at once, unless a worker does. False where one does.
    pub(super) fn answer_directory(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        request: &RequestView<'_>,
    ) -> bool {
        if self.is_directory_served() {
            return false;
        }
        let wanted = wanted(request.body);
        let known = self.known_directory();
        let text = match wanted {
            None => known.all.clone(),
            Some(name) => known.services.get(&name[..]).cloned().unwrap_or_else(|| "[]".into()),
        };
        // To a reader of frames it is one frame of JSON: a list must not become frames.
        let body = Frames::single(text).in_form(request.body.form(), 0);
        if self.can_be_read(body.view(), &[], peer) {
            self.answer(turn, peer, request, &[], body.view());
        } else {
            self.refuse(turn, peer, request, End::As(Outcome::Untranslatable));
        }
        true
    }

    fn known_directory(&mut self) -> &Known {
        if self.directory.known.is_none() {
            self.directory.known = Some(self.look_around());
        }
        self.directory.known.as_ref().expect("it was just worked out")
    }

    fn look_around(&self) -> Known {
        let peers = &self.tables.peers;
        let registered = peers.ids().filter_map(|id| {
            let worker = peers.worker(id).filter(|worker| !worker.registrations().is_empty())?;
            Some((peers.name_of(id), worker.registrations()))
        });
        let registered: Vec<_> = registered.collect();
        let mut workers: BTreeMap<&Label, Vec<&str>> = BTreeMap::new();
        for (worker, registrations) in &registered {
            for at in registrations.iter() {
                let service = self.tables.registrations()[*at].service;
                let name = &self.tables.services[service].name;
                workers.entry(name).or_default().push(worker);
            }
        }
        let mut services = BTreeMap::new();
        let mut all = String::from("{");
        for (name, workers) in workers {
            let list = serde_json::to_string(&workers).unwrap_or_default();
            let key = serde_json::to_string(&String::from_utf8_lossy(name)).unwrap_or_default();
            if all.len() > 1 {
                all.push(',');
            }
            all.push_str(&key);
            all.push(':');
            all.push_str(&list);
            services.insert(name.clone(), Bytes::from(list));
        }
        all.push('}');
        Known { services, all: all.into() }
    }
}

/// The name of a service that a body asks for; nothing where it asks for none in particular.
pub(super) fn wanted(body: FramesView<'_>) -> Option<Vec<u8>> {
    let asked = body.get(0)?;
    let name = match body.form() {
        Form::Frames => asked.to_vec(),
        // JSON that is no text names no service: nothing in particular, or one that is unknown.
        Form::Json => match serde_json::from_slice::<String>(asked) {
            Ok(name) => name.into_bytes(),
            Err(_) if is_nothing(asked) => return None,
            Err(_) => asked.to_vec(),
        },
    };
    (!name.is_empty()).then_some(name)
}

/// Whether this JSON asks for nothing in particular.
fn is_nothing(json: &[u8]) -> bool {
    matches!(json.trim_ascii(), b"" | b"null" | b"undefined" | b"false" | b"0")
}
