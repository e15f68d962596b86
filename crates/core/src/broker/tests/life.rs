//! Tests of heartbeats in both directions, and of lost workers.

use core::time::Duration;

use super::{check, check_with};

#[test]
fn workers_get_heartbeats_whether_they_are_busy_or_not() {
    check(
        "
        show heartbeats
        0ms client c
        0ms worker w
        0ms w ready echo
        999ms w heartbeat
        1001ms tick
          > w heartbeat
        1500ms c request echo 1
          > w request #1 1
        2010ms tick
          > w heartbeat
        3010ms tick
          > w heartbeat
        ",
    );
}

#[test]
fn an_idle_worker_is_lost_after_three_silent_intervals() {
    check(
        "
        0ms worker w
        0ms w ready echo
        1s w heartbeat
        3990ms tick
        4002ms tick
          > w disconnect
        5s w heartbeat
          > w disconnect
        = not_ready 1
        ",
    );
}

#[test]
fn a_silent_idle_worker_is_lost_though_its_zmtp_answers() {
    // An idle worker is probed once, when it connects. Its answer counts as liveness like any other
    // bytes, but no further probe follows.
    check(
        "
        show probes
        0ms worker w probes
          > w probe
        0ms w ready echo
        1s w pong
        3990ms tick
        4002ms tick
          > w disconnect
        ",
    );
}

#[test]
fn a_worker_that_was_silent_before_it_got_its_request_has_time_to_answer() {
    check(
        "
        show probes
        0ms client c
        0ms worker w probes
          > w probe
        1ms w pong
        1ms w ready echo
        2900ms c request echo 1
          > w request #1 1
        3100ms tick
          > w probe
        3990ms tick
        4100ms tick
          > w disconnect
        = redelivered 1
        ",
    );
}

#[test]
fn any_bytes_are_life() {
    check(
        "
        0ms worker w
        0ms w ready echo
        2s w bytes
        4900ms tick
        5002ms tick
          > w disconnect
        ",
    );
}

#[test]
fn a_busy_worker_that_is_blocked_keeps_its_request() {
    // The worker is busy, but its ZMTP layer answers probes.
    check(
        "
        show probes
        0ms client c
        0ms worker w probes
          > w probe
        1ms w pong
        1ms w ready echo
        2ms c request echo 1
          > w request #1 1
        1100ms tick
          > w probe
        1101ms w pong
        2200ms tick
        3300ms tick
          > w probe
        3301ms w pong
        4400ms tick
        5500ms tick
          > w probe
        5501ms w pong
        6s w final #1 one
          > c final one
        = replied 1, redelivered 0
        ",
    );
}

#[test]
fn a_busy_worker_that_never_answered_probes_keeps_its_request() {
    check(
        "
        0ms client c
        0ms worker w probes
        0ms w ready echo
        0ms worker v
        0ms v ready echo
        1ms c request echo 1
          > w request #1 1
        3500ms tick
          > v disconnect
        60s w final #1 one
          > c final one
        = replied 1, redelivered 0
        ",
    );
}

#[test]
fn a_busy_worker_without_probes_keeps_its_request() {
    check(
        "
        show probes
        0ms client c
        0ms worker w
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        60s w final #1 one
          > c final one
        = replied 1
        ",
    );
}

#[test]
fn a_busy_worker_that_is_stopped_loses_its_request() {
    // The worker has answered a probe before and no longer does.
    check(
        "
        0ms client c
        0ms worker w probes
        1ms w pong
        1ms w ready echo
        500ms c request echo 1
          > w request #1 1
        700ms w bytes
        2s worker v
        2s v ready echo
        3690ms tick
        3702ms tick
          > w disconnect
          > v request #2 1
        4s w final #1 late
        5s v final #2 one
          > c final one
        = replied 1, redelivered 1, late 1, not_ready 0
        ",
    );
}

#[test]
fn a_worker_is_not_silent_while_it_is_busy_and_then_idle() {
    // A worker's silence is measured from the end of its last request at the earliest.
    check(
        "
        0ms client c
        0ms worker w concurrency=2
        0ms w ready echo
        1ms c request echo 1 timeout=2000
          > w request #1 1
        10s w final #1 late
        12900ms tick
        13002ms tick
          > w disconnect
        ",
    );
}

#[test]
fn time_that_jumps_loses_nobody() {
    // The broker was stopped for a minute. It handles the tick before the messages that arrived
    // meanwhile.
    check_with(
        |_| {},
        "
        0ms worker w
        0ms w ready echo
        500ms w heartbeat
        ",
    );
    let mut stage = super::Stage::new(crate::broker::Config::default());
    stage.act("0ms worker w");
    stage.act("0ms w ready echo");
    stage.now = super::moment("60s");
    stage.tell(crate::broker::Input::Tick);
    stage.act("60s w heartbeat");
    assert_eq!(stage.asked, Vec::<String>::new());
    stage.act("69s tick");
    assert_eq!(stage.asked, ["w disconnect"]);
}

#[test]
fn time_that_jumps_takes_no_identity_and_cuts_no_reader() {
    let mut stage = super::Stage::new(crate::broker::Config::default());
    stage.act("0ms client c id=x");
    stage.act("0ms client f");
    stage.act("0ms f filled");
    stage.act("1s client d id=x");
    assert_eq!(stage.asked, ["f pause", "d pause"]);
    stage.now = super::moment("60s");
    stage.tell(crate::broker::Input::Tick);
    assert_eq!(stage.asked.len(), 2, "{:?}", stage.asked);
    stage.act("60s c bytes");
    stage.act("60s f drained");
    assert_eq!(stage.asked[2..], ["d close identity_in_use", "f resume"]);
}

use alloc::string::String;
use alloc::vec::Vec;

#[test]
fn a_worker_whose_reading_is_paused_is_not_silent() {
    check(
        "
        0ms client c
        0ms worker w probes
        0ms w pong
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        2ms w partial #1 a
          > c partial a
        3ms c filled
          > c pause
          > w pause
        9s tick
        9s c drained
          > c resume
          > w resume
        11s w final #1 b
          > c final b
        ",
    );
}

#[test]
fn a_request_without_deadline_ends_at_the_busy_limit_of_a_worker_that_lives_on() {
    check_with(
        |config| config.busy_timeout = Duration::from_secs(2),
        "
        0ms worker w concurrency=2
        0ms w ready echo
        0ms client c told=most
        1ms c request echo hi timeout=never
        > w request #1 hi
        1ms c request echo ho
        > w request #2 ho
        1900ms w bytes
        2010ms tick
        > c failed worker_lost
        2020ms c request echo he
        > w request #3 he
        = worker_lost 1, expired 1, in progress 1
        ",
    );
}
