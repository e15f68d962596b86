//! The directory: the built-in service `$dir`, which lists the workers of each service. A worker
//! that registers `$dir` replaces it.
//!
//! A request with a service name is answered with the workers registered for exactly that name. An
//! empty request is answered with all names. Both answers are JSON.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::statistics::End;
use super::{Broker, Turn};
use crate::{ByteStr, Form, Frames, FramesView, Outcome, PeerId, RequestView};

/// The directory's service name.
pub(super) const NAME: &[u8] = b"$dir";

/// The directory's content, computed when it is first requested after a change.
#[derive(Debug, Default)]
pub(super) struct Directory {
    known: Option<Known>,
    /// Grows with each change and each publish request.
    edition: u64,
}

#[derive(Debug)]
struct Known {
    /// The workers of each service, as a JSON array.
    services: BTreeMap<ByteStr, Bytes>,
    /// The whole directory, as a JSON object.
    all: Bytes,
}

impl Directory {
    /// Marks the content as changed.
    pub(super) fn changed(&mut self) {
        self.known = None;
        self.edition += 1;
    }

    /// Marks the unchanged content as due for publication.
    pub(super) fn wanted(&mut self) {
        self.edition += 1;
    }
}

impl Broker {
    /// Returns the directory: a JSON object with an array of worker names for each registered
    /// service.
    ///
    /// A worker's name is its identity, or a name assigned by the broker if it has no textual
    /// identity.
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

    /// Returns a number that grows whenever the directory has changed or a worker asks to publish
    /// it.
    pub fn directory_edition(&self) -> u64 {
        self.directory.edition
    }

    /// Answers a directory request at once. Returns false if a worker serves the directory.
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
        // A client of frames gets one frame of JSON: the list must not be split into frames.
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
        let mut workers: BTreeMap<&ByteStr, Vec<&str>> = BTreeMap::new();
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

/// Returns the service name in a request's body, or `None` for a request for the whole directory.
pub(super) fn wanted(body: FramesView<'_>) -> Option<Vec<u8>> {
    let asked = body.get(0)?;
    let name = match body.form() {
        Form::Frames => asked.to_vec(),
        // JSON that is not a string asks for the whole directory if it is empty, and for an unknown
        // service otherwise.
        Form::Json => match serde_json::from_slice::<String>(asked) {
            Ok(name) => name.into_bytes(),
            Err(_) if is_nothing(asked) => return None,
            Err(_) => asked.to_vec(),
        },
    };
    (!name.is_empty()).then_some(name)
}

/// Returns true if this JSON asks for the whole directory.
fn is_nothing(json: &[u8]) -> bool {
    matches!(json.trim_ascii(), b"" | b"null" | b"undefined" | b"false" | b"0")
}
