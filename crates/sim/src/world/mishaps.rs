//! The effects of faults on the simulated world.

use majordomus_core::PeerId;
use majordomus_core::broker::{Input, Keys};

use super::{Health, What, World};
use crate::faults::Fault;
use crate::machine::Machine;
use crate::network::Up;

impl<M: Machine> World<M> {
    pub(super) fn recover(&mut self, at: usize) {
        let now = self.stage.now();
        match self.programs[at].health {
            Health::Blocked(until) | Health::Stopped(until) if until > now => return,
            _ => self.programs[at].health = Health::Well,
        }
        while let Some(message) = self.programs[at].inbox.pop_front() {
            self.act(at, |actor, scene| actor.heard(scene, message));
        }
        self.act(at, |actor, scene| actor.wake(scene));
        if let Some(peer) = self.programs[at].link {
            self.schedule_down(peer);
        }
    }

    fn any_link(&mut self) -> Option<PeerId> {
        let links: Vec<PeerId> = self.links.iter().flatten().map(|link| link.peer).collect();
        (!links.is_empty()).then(|| self.rng.pick(&links))
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        let now = self.stage.now();
        let program = self.rng.below(self.programs.len() as u64) as usize;
        match fault {
            Fault::Cut => {
                if let Some(peer) = self.any_link() {
                    self.cut(peer);
                }
            }
            Fault::HalfOpen => {
                let peer = self.programs[program].link;
                if let Some(link) = peer.and_then(|peer| self.link(peer)) {
                    link.actor = None;
                    self.programs[program].link = None;
                    self.programs[program].inbox.clear();
                    let at = now.after(self.delay());
                    self.schedule(at, What::Lost(program));
                }
            }
            Fault::Block(span) | Fault::Stop(span) => {
                let until = now.after(span);
                if self.programs[program].health == Health::Well {
                    self.programs[program].health = match fault {
                        Fault::Block(_) => Health::Blocked(until),
                        _ => Health::Stopped(until),
                    };
                    self.schedule(until, What::Recover(program));
                }
            }
            Fault::ReadSlowly(span) => {
                let peer = self.programs[program].link;
                if let Some(link) = peer.and_then(|peer| self.link(peer)) {
                    link.read = span;
                }
            }
            Fault::Noise => {
                let kind = if self.rng.one_in(3) { Up::Malformed } else { Up::Bytes };
                if let Some(peer) = self.any_link() {
                    self.say(peer, now, kind);
                }
            }
            Fault::Leap(span) => {
                let tick = self.running && self.rng.one_in(2);
                self.stage.leap(now.after(span), tick);
                if tick {
                    self.tell(Input::Tick);
                }
            }
            Fault::Configure => {
                let config = self.workload.config(&mut self.rng);
                if self.running {
                    self.tell(Input::Configured(Box::new(config)));
                }
            }
            Fault::Restart if self.running => {
                self.stop_broker();
                self.start();
            }
            Fault::Shutdown if self.running => {
                self.tell(Input::Shutdown);
                if self.rng.one_in(2) {
                    // A broker that is shut down may still receive inputs for a while.
                    let until = now.after(self.rng.millis(1, 50));
                    self.schedule(until, What::Start);
                } else {
                    self.stop_broker();
                    let until = now.after(self.rng.millis(1, 500));
                    self.schedule(until, What::Start);
                }
            }
            Fault::Restart | Fault::Shutdown => {}
        }
    }

    fn stop_broker(&mut self) {
        self.running = false;
        for at in 0..self.links.len() {
            let Some(peer) = self.links[at].as_ref().map(|link| link.peer) else { continue };
            if let Some(actor) = self.drop_link(peer) {
                let at = self.stage.now().after(self.delay());
                self.schedule(at, What::Lost(actor));
            }
        }
        self.reports.clear();
    }

    pub(super) fn start(&mut self) {
        if self.running {
            self.stop_broker();
        }
        let config = self.workload.config(&mut self.rng);
        let rng = &mut self.rng;
        let keys = Keys([rng.draw(), rng.draw(), rng.draw(), rng.draw()]);
        self.stage.restart(&config, keys);
        self.running = true;
    }
}
