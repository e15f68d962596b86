//! Connections and messages of the simulated world.

use core::time::Duration;

use majordomus_core::broker::{Input, Sign};
use majordomus_core::{PeerId, Time};

use super::{Health, What, World};
use crate::actors::Actor;
use crate::machine::Machine;
use crate::network::{Down, Link, Up};

impl<M: Machine> World<M> {
    pub(super) fn link(&mut self, peer: PeerId) -> Option<&mut Link> {
        self.links.get_mut(peer.index as usize)?.as_mut().filter(|link| link.peer == peer)
    }

    pub(super) fn send_down(&mut self, peer: PeerId, message: Down) {
        let arrives = self.stage.now().after(self.delay());
        let Some(link) = self.link(peer) else { return };
        link.send_down(arrives, message);
        let fills = !link.filled && link.down.len() >= link.down_max;
        if fills {
            link.filled = true;
            self.reports.push_back(Input::AboveHighWater { peer });
        }
        self.schedule_down(peer);
    }

    pub(super) fn schedule_down(&mut self, peer: PeerId) {
        let now = self.stage.now();
        let Some(link) = self.link(peer) else { return };
        if link.down_due || link.actor.is_none() {
            return;
        }
        if let Some(at) = link.down.front().map(|(at, _)| (*at).max(now)) {
            link.down_due = true;
            self.schedule(at, What::Down(peer));
        }
    }

    pub(super) fn schedule_up(&mut self, peer: PeerId) {
        let now = self.stage.now();
        let Some(link) = self.link(peer) else { return };
        if link.up_due {
            return;
        }
        if let Some(at) = link.up.front().map(|(at, _)| (*at).max(now)) {
            link.up_due = true;
            self.schedule(at, What::Up(peer));
        }
    }

    pub(super) fn deliver_up(&mut self, peer: PeerId) {
        let reads = self.stage.checker().reads(peer);
        let Some(link) = self.link(peer) else { return };
        link.up_due = false;
        if !reads {
            return;
        }
        let Some((_, message)) = link.up.pop_front() else { return };
        let input = match message {
            Up::Client(command) => Input::FromClient { peer, command },
            Up::Worker(command) => Input::FromWorker { peer, command },
            Up::Bytes => Input::Alive { peer, sign: Sign::Bytes },
            Up::Ping => {
                self.send_down(peer, Down::Pong);
                Input::Alive { peer, sign: Sign::Bytes }
            }
            Up::Pong => Input::Alive { peer, sign: Sign::Pong },
            Up::Malformed => Input::Malformed { peer },
            Up::End => Input::Disconnected { peer },
        };
        self.tell(input);
        self.schedule_up(peer);
    }

    pub(super) fn deliver_down(&mut self, peer: PeerId) {
        let now = self.stage.now();
        let Some(link) = self.link(peer) else { return };
        link.down_due = false;
        let Some(actor) = link.actor else { return };
        if let Health::Stopped(_) = self.programs[actor].health {
            return;
        }
        let Some(link) = self.link(peer) else { return };
        let Some((_, message)) = link.down.pop_front() else { return };
        if link.filled {
            let waits = link.down.len();
            if waits == 0 {
                link.filled = false;
                self.reports.push_back(Input::BelowLowWater { peer });
            } else if waits == link.down_max / 2 {
                self.reports.push_back(Input::MakingProgress { peer });
            }
        }
        self.schedule_down(peer);
        match message {
            Down::Probe => {
                if self.programs[actor].answers_probes {
                    let arrives = now.after(self.delay());
                    self.say(peer, arrives, Up::Pong);
                }
            }
            message if self.programs[actor].health != Health::Well => {
                self.programs[actor].inbox.push_back(message);
            }
            message => self.act(actor, |actor, scene| actor.heard(scene, message)),
        }
    }

    pub(super) fn say(&mut self, peer: PeerId, arrives: Time, message: Up) {
        if let Some(link) = self.link(peer) {
            link.send_up(arrives, message);
            self.schedule_up(peer);
        }
    }

    /// Removes a program's connection. The program is notified.
    pub(super) fn part(&mut self, at: usize) {
        if let Some(peer) = self.programs[at].link.take()
            && let Some(link) = self.link(peer)
        {
            link.actor = None;
        }
        self.programs[at].inbox.clear();
        if let Actor::Client(_) | Actor::Worker(_) = self.programs[at].actor {
            let at_time = self.stage.now();
            self.schedule(at_time, What::Lost(at));
        }
    }

    /// Cuts a connection: some of the messages in transit still arrive, and then the end.
    pub(super) fn cut(&mut self, peer: PeerId) {
        let now = self.stage.now();
        let keep = self.rng.below(4) as usize;
        let inside = self.rng.one_in(3);
        let noticed = self.rng.one_in(2);
        let Some(link) = self.link(peer) else { return };
        let actor = link.actor.take();
        link.up.truncate(keep);
        if inside {
            link.send_up(now, Up::Bytes);
        }
        link.send_up(now, Up::End);
        if let Some(actor) = actor {
            self.programs[actor].link = None;
            self.programs[actor].inbox.clear();
            let at = now.after(self.delay());
            self.schedule(at, What::Lost(actor));
        }
        if noticed {
            // The broker is notified even if it does not read from the peer.
            return self.tell(Input::Disconnected { peer });
        }
        self.schedule_up(peer);
    }

    pub(super) fn opened(&mut self, at: usize) {
        if let Health::Stopped(until) = self.programs[at].health {
            return self.schedule(until.after(Duration::from_micros(1)), What::Opened(at));
        }
        self.programs[at].opening = false;
        if !self.running {
            return self.act(at, |actor, scene| actor.lost(scene));
        }
        let peer = self.free_place();
        let down_max = self.down_max;
        self.links[peer.index as usize] = Some(Link::new(peer, at, down_max));
        self.programs[at].link = Some(peer);
        if self.programs[at].actor.is_worker() {
            self.workload.meet(peer);
        }
        let program = &self.programs[at];
        let profile = program.actor.profile(&program.identity, program.answers_probes);
        self.tell(Input::Connected { peer, profile });
        self.act(at, |actor, scene| actor.opened(scene));
    }

    /// Reserves an index for a peer without a program, which does not read its messages.
    pub(crate) fn reserve_place(&mut self) -> PeerId {
        let peer = self.free_place();
        let mut link = Link::new(peer, 0, usize::MAX);
        link.actor = None;
        self.links[peer.index as usize] = Some(link);
        peer
    }

    fn free_place(&mut self) -> PeerId {
        let index = self.links.iter().position(Option::is_none).unwrap_or_else(|| {
            self.links.push(None);
            self.generations.push(0);
            self.links.len() - 1
        });
        self.generations[index] += 1;
        PeerId::new(index as u32, self.generations[index])
    }

    /// Removes a link and returns its program.
    pub(super) fn drop_link(&mut self, peer: PeerId) -> Option<usize> {
        self.link(peer)?;
        let link = self.links[peer.index as usize].take()?;
        let actor = link.actor?;
        self.programs[actor].link = None;
        self.programs[actor].inbox.clear();
        Some(actor)
    }
}
