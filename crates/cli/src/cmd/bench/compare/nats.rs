//! The same load through nats-server, using the crate `async-nats`: one task for each request in
//! flight, all in one thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures_core::Stream;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::cmd::bench::client::Came;
use crate::cmd::bench::load::{Fault, Measured, Plan};
use crate::cmd::bench::progress::Progress;
use crate::cmd::bench::tag::{TEXT_BYTES, Tag};
use crate::cmd::bench::tally::{Tally, Window};
use crate::cmd::bench::usage::{Memory, Usage};
use crate::cmd::tripping::body;

/// The interval between progress updates.
const SHOW_INTERVAL: Duration = Duration::from_millis(100);

/// State that all request tasks share.
struct Shared {
    started: Instant,
    tally: RefCell<Tally>,
    stopped: Cell<bool>,
    subject: String,
    filling: Vec<u8>,
}

/// Sends as many requests as possible: first to warm up, then to measure.
pub(in crate::cmd::bench) fn run(plan: &Plan, progress: &Progress) -> Result<Measured, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Fault::System)?;
    LocalSet::new().block_on(&runtime, load(plan, progress))
}

async fn load(plan: &Plan, progress: &Progress) -> Result<Measured, Fault> {
    for _ in 0..plan.workers {
        let client = connect(plan).await?;
        let asked = client.queue_subscribe(plan.service.clone(), "workers".into()).await;
        let asked = asked.map_err(refused)?;
        client.flush().await.map_err(refused)?;
        tokio::task::spawn_local(echo(client, asked));
    }
    let shared = Rc::new(Shared {
        started: Instant::now(),
        tally: RefCell::new(Tally::new(false)),
        stopped: Cell::new(false),
        subject: plan.service.clone(),
        filling: body::text(0, plan.body_bytes.saturating_sub(TEXT_BYTES)),
    });
    let from = shared.now() + nanos(plan.warm_up);
    shared.tally.borrow_mut().measure(Window { from, to: from + nanos(plan.duration) });
    let mut lanes = Vec::new();
    for number in 0..plan.clients {
        let client = connect(plan).await?;
        for slot in 0..plan.in_flight {
            let lane = lane(client.clone(), number, slot, Rc::clone(&shared));
            lanes.push(tokio::task::spawn_local(lane));
        }
    }
    shared.wait_until(from, progress).await;
    let usage = || Usage::now(plan.broker_pid).map_err(Fault::System);
    let (started, before) = (Instant::now(), usage()?);
    shared.wait_until(from + nanos(plan.duration), progress).await;
    let (elapsed, usage) = (started.elapsed(), usage()? - before);
    shared.stopped.set(true);
    let end = Instant::now() + plan.timeout;
    for lane in lanes {
        // A task that does not end counts as lost.
        let _ = timeout(end.saturating_duration_since(Instant::now()), lane).await;
    }
    let memory = plan.broker_pid.map(Memory::of).transpose().map_err(Fault::System)?;
    let mut tally = shared.tally.borrow().clone();
    tally.lost = tally.asked - tally.right - tally.wrong - tally.failed;
    Ok(Measured { tally, elapsed, usage, memory, cut: None })
}

async fn connect(plan: &Plan) -> Result<Client, Fault> {
    async_nats::connect(plan.endpoint.replace("tcp://", "nats://")).await.map_err(refused)
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::Connect(io::Error::other(error))
}

async fn echo(client: Client, mut asked: Subscriber) {
    while let Some(message) = poll_fn(|context| Pin::new(&mut asked).poll_next(context)).await {
        if let Some(reply) = message.reply {
            // The client counts a missing reply as lost.
            let _ = client.publish(reply, message.payload).await;
        }
    }
}

/// Sends one request after another.
async fn lane(client: Client, number: u16, slot: u16, shared: Rc<Shared>) {
    let mut turn = 0;
    while !shared.stopped.get() {
        turn += 1;
        let tag = Tag { client: number, slot, turn };
        let body = Bytes::from([&tag.text()[..], &shared.filling].concat());
        shared.tally.borrow_mut().asked += 1;
        let since = shared.now();
        let came = match client.request(shared.subject.clone(), body.clone()).await {
            Ok(reply) if reply.payload == body => Came::Right { since },
            Ok(_) => Came::Wrong(format!("{tag} came back with other bytes")),
            Err(error) => Came::Failed(error.to_string()),
        };
        shared.tally.borrow_mut().count(came, shared.now());
    }
}

impl Shared {
    fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    async fn wait_until(&self, end: u64, progress: &Progress) {
        while self.now() < end {
            let now = self.now();
            progress.show(Duration::from_nanos(now), self.tally.borrow().right);
            sleep(Duration::from_nanos(end - now).min(SHOW_INTERVAL)).await;
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
