//! Places of a request, and the legal moves between them.

use crate::PeerId;

/// A request's place: the list that it is linked into.
///
/// ```text
///                        ┌───────────── Coalesced ◄──┐
///                        │ its client does not read  │ equal to another
///                        ▼                           │
///   received ──► Detached ──► Queued, Targeted ──────┼──► Suspended: its client does not read
///                  ▲ │ ▲        │    a worker is     │      │
///        rejected, │ │ │        │    idle            │      │ its client reads
///        worker    │ │ │        ▼                    │      ▼
///        lost      │ │ └───► InFlight ───────────────┘   back to where it was
///                  │ ▼          │
///               Rejected ──► InFlight
///                               │ expired, cancelled, client gone
///                               ▼
///                           Orphaned: ended, but its worker does not know
///
///   every place but Orphaned ──► Detached ──► ended, forgotten
///   Orphaned ──► Detached ──► forgotten: late reply, worker lost, busy limit
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum Place {
    /// In no list; only while one input is handled.
    Detached,
    /// In the queue of its service.
    Queued,
    /// In the rejected requests of its service, waiting for a worker that has not rejected it.
    Rejected,
    /// In the queue of the one worker that may take it.
    Targeted(PeerId),
    /// Suspended at its client, which does not read, so that no worker waits for the client.
    Suspended,
    /// Waiting for the reply to an equal request, its primary.
    Coalesced(u32),
    /// In flight at this worker.
    InFlight(PeerId),
    /// Ended, but still occupying a slot of this worker.
    Orphaned(PeerId),
}

impl Place {
    /// Returns true if a request may move from here to `next`.
    pub(super) const fn may_become(self, next: Place) -> bool {
        use Place::{
            Coalesced, Detached, InFlight, Orphaned, Queued, Rejected, Suspended, Targeted,
        };
        match (self, next) {
            (Detached, Detached | Orphaned(_)) => false,
            (Detached, _) | (_, Detached) => true,
            (Queued | Rejected | Targeted(_), Suspended | InFlight(_)) => true,
            (Suspended, Queued | Targeted(_)) => true,
            (Coalesced(_), Suspended) => true,
            (InFlight(one), Orphaned(other)) => {
                one.index == other.index && one.generation == other.generation
            }
            _ => false,
        }
    }

    /// Returns true if a request here has no outcome yet.
    pub(in crate::broker) const fn in_progress(self) -> bool {
        !matches!(self, Place::Orphaned(_))
    }

    /// Returns true if a request here is at a worker and has no outcome yet.
    pub(in crate::broker) const fn is_in_flight(self) -> bool {
        matches!(self, Place::InFlight(_))
    }

    /// Returns the worker that has a request here.
    pub(in crate::broker) const fn worker(self) -> Option<PeerId> {
        match self {
            Place::InFlight(worker) | Place::Orphaned(worker) => Some(worker),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place::{
        Coalesced, Detached, InFlight, Orphaned, Queued, Rejected, Suspended, Targeted,
    };
    use super::*;

    const WORKER: PeerId = PeerId::new(1, 0);
    const OTHER: PeerId = PeerId::new(2, 0);

    #[test]
    fn legal_moves_are_these() {
        let all = [
            Detached,
            Queued,
            Rejected,
            Targeted(WORKER),
            Suspended,
            Coalesced(0),
            InFlight(WORKER),
            Orphaned(WORKER),
        ];
        // Rows are the places before a move, columns the places after it.
        let legal = [
            ("Detached ", "- Q R T S C I -"),
            ("Queued   ", "D - - - S - I -"),
            ("Rejected ", "D - - - S - I -"),
            ("Targeted ", "D - - - S - I -"),
            ("Suspended", "D Q - T - - - -"),
            ("Coalesced", "D - - - S - - -"),
            ("InFlight ", "D - - - - - - O"),
            ("Orphaned ", "D - - - - - - -"),
        ];
        for (from, (name, row)) in all.into_iter().zip(legal) {
            assert!(alloc::format!("{from:?}").starts_with(name.trim_end()));
            for (to, mark) in all.into_iter().zip(row.split(' ')) {
                assert_eq!(from.may_become(to), mark != "-", "{from:?} to {to:?}");
            }
        }
        assert!(!InFlight(WORKER).may_become(Orphaned(OTHER)));
    }
}
