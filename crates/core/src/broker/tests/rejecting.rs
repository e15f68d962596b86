//! Tests of rejected requests, and of workers whose concurrency changes.

use alloc::format;
use core::time::Duration;

use super::{Config, Input, Stage, Time, check, check_with};

#[test]
fn a_rejected_request_goes_to_another_worker() {
    check(
        "0ms worker a rejects
         0ms worker b rejects
         0ms a ready echo
         0ms b ready echo
         0ms client c told
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 no|thanks
         > b request #2 hi
         3ms b final #2 ho
         > c final ho
         = replied 1, rejected 0, dispatched 2, rejections 1",
    );
}

#[test]
fn each_worker_gets_it_once_and_the_client_the_last_error() {
    check(
        "0ms worker a rejects
         0ms worker b rejects
         0ms a ready echo
         0ms b ready echo
         0ms client c told
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 first
         > b request #2 hi
         3ms b reject #2 last
         1002ms tick
         1010ms tick
         > c failed rejected last
         = rejected 1, in progress 0",
    );
}

#[test]
fn a_worker_that_comes_in_time_gets_it() {
    check(
        "0ms worker a rejects
         0ms a ready echo
         0ms client c told
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 no
         500ms worker b
         500ms b ready echo
         > b request #2 hi
         600ms b final #2 ho
         > c final ho",
    );
}

#[test]
fn a_busy_worker_that_has_not_had_it_is_waited_for() {
    check(
        "0ms worker a rejects
         0ms worker b rejects
         0ms a ready echo
         0ms b ready echo
         0ms client c told
         1ms c request echo one
         > a request #1 one
         1ms c request echo two
         > b request #2 two
         2ms a reject #1 no
         2500ms a heartbeat
         3000ms b heartbeat
         3000ms b final #2 done
         > c final done
         > b request #3 one
         3001ms b reject #3 never
         3900ms tick
         4010ms tick
         > c failed rejected never
         = replied 1, rejected 1",
    );
}

#[test]
fn what_nobody_wants_does_not_stand_in_the_way() {
    check(
        "0ms worker a rejects
         0ms a ready echo
         0ms client c told
         1ms c request echo one
         > a request #1 one
         1ms c request echo two
         2ms a reject #1 no
         > a request #2 two
         3ms a final #2 done
         > c final done
         1010ms tick
         > c failed rejected no",
    );
}

#[test]
fn a_rejection_after_a_part_is_the_end() {
    check(
        "0ms worker a rejects
         0ms worker b
         0ms a ready echo
         0ms b ready echo
         0ms client c told
         1ms c request echo hi
         > a request #1 hi
         2ms a partial #1 half
         > c partial half
         3ms a reject #1 no
         > c failed rejected no",
    );
}

#[test]
fn parts_that_were_kept_for_the_client_are_dropped_with_the_rejection() {
    check(
        "0ms worker a rejects
         0ms worker b
         0ms a ready echo
         0ms b ready echo
         0ms client c noparts
         1ms c request echo hi
         > a request #1 hi
         2ms a partial #1 half
         3ms a reject #1 no
         > b request #2 hi
         4ms b partial #2 whole
         5ms b final #2
         > c final whole
         = bytes 0",
    );
}

#[test]
fn redelivery_counts_no_rejections() {
    check_with(
        |config| config.attempts_max = 2,
        "0ms worker a rejects
         0ms a ready echo
         0ms client c told
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 no
         3ms worker b
         3ms b ready echo
         > b request #2 hi
         4ms b gone
         5ms worker d
         5ms d ready echo
         > d request #3 hi
         6ms d gone
         > c failed worker_lost
         = redelivered 1",
    );
}

#[test]
fn the_deadline_holds_for_a_rejected_request() {
    check(
        "0ms worker a rejects
         0ms a ready echo
         0ms client c told
         1ms c request echo hi timeout=100
         > a request #1 hi
         2ms a reject #1 no
         110ms tick
         > c failed expired",
    );
}

#[test]
fn the_wait_of_the_service_ends_with_the_last_error() {
    check_with(
        |config| config.wait_timeout = Duration::from_millis(100),
        "0ms worker a rejects
         0ms a ready echo
         0ms client c told
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 no
         110ms tick
         > c failed rejected no",
    );
}

#[test]
fn so_many_rejections_are_rejections_by_all() {
    check_with(
        |config| config.limits.rejections_max = 1,
        "0ms worker a rejects
         0ms worker b rejects
         0ms a ready echo
         0ms b ready echo
         0ms client c told
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 no
         > c failed rejected no",
    );
}

#[test]
fn an_error_that_is_too_large_is_not_kept() {
    check_with(
        |config| config.limits.reply_bytes_max = 4,
        "0ms worker a rejects
         0ms a ready echo
         0ms client c told
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 long-winded
         = bytes 258
         1010ms tick
         > c failed rejected",
    );
}

#[test]
fn a_late_rejection_frees_the_slot() {
    check(
        "0ms worker a rejects
         0ms a ready echo
         0ms client c
         1ms c request echo hi timeout=10
         > a request #1 hi
         20ms tick
         21ms c request echo two
         30ms a reject #1 no
         > a request #2 two
         = late 1, expired 1",
    );
}

#[test]
fn the_request_of_a_client_that_goes_is_forgotten_where_it_waits() {
    check(
        "0ms worker a rejects
         0ms a ready echo
         0ms client c told=most
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 no
         3ms c gone
         = client_gone 1, in progress 0, bytes 0
         4ms a disconnect
         = services 0",
    );
}

#[test]
fn a_rejected_request_waits_for_a_client_that_does_not_read() {
    check(
        "0ms worker a rejects
         0ms worker b
         0ms a ready echo
         0ms client c
         1ms c request echo hi
         > a request #1 hi
         2ms a reject #1 no
         3ms c filled
         > c pause
         4ms b ready echo
         5ms c drained
         > c resume
         > b request #2 hi",
    );
}

#[test]
fn concurrency_counts_at_once() {
    check(
        "0ms worker a
         0ms a ready echo
         0ms client c
         1ms c request echo one
         > a request #1 one
         1ms c request echo two
         1ms c request echo three
         1ms c request echo four
         2ms a heartbeat concurrency=3
         > a request #2 two
         > a request #3 three
         3ms a heartbeat concurrency=1
         4ms a final #1 done
         > c final done
         5ms a final #2 done
         > c final done
         6ms a final #3 done
         > c final done
         > a request #4 four",
    );
}

#[test]
fn a_worker_can_take_nothing_for_a_while() {
    check(
        "0ms worker a
         0ms a ready echo
         0ms client c
         1ms a heartbeat concurrency=0
         2ms c request echo one
         3ms a heartbeat
         4ms a heartbeat concurrency=any
         > a request #1 one",
    );
}

#[test]
fn ready_begins_anew() {
    check(
        "0ms worker a
         0ms a ready echo
         1ms a heartbeat concurrency=0
         2ms a disconnect
         3ms a ready echo
         4ms client c
         4ms c request echo one
         > a request #1 one
         4ms c request echo two",
    );
}

#[test]
fn who_wants_it_is_answered() {
    check(
        "show heartbeats
         show registered
         0ms worker a answered again
         0ms a ready echo
         > a registered echo as p0.7
         1ms a heartbeat
         > a heartbeat
         2ms a ready echo
         2ms a ready other
         = ready_twice 0, services 1",
    );
}

#[test]
fn a_client_keeps_its_request_wanted_and_a_worker_alive() {
    check(
        "0ms worker a id=wanda
         0ms a ready echo
         0ms client c
         1ms c request echo hi id=7
         > a request #1 hi
         2ms c wants 7
         > a wanted #1 7
         3ms c wants 8
         4ms a final #1 ho
         > c final ho
         2900ms c vouch wanda
         5800ms c vouch wanda
         5900ms c vouch nobody
         6000ms tick
         8810ms tick
         > a disconnect",
    );
}

#[test]
fn who_times_out_by_itself_is_not_told_that_nobody_came() {
    check(
        "0ms client c told=most
         1ms c request echo hi timeout=100
         110ms tick
         = no_such_service 1",
    );
}

#[test]
fn no_wait_at_all_is_a_short_one() {
    check_with(
        |config| config.reject_wait = Duration::ZERO,
        "0ms worker a rejects
         0ms worker b
         0ms a ready echo
         0ms b ready echo
         0ms client c told
         1ms c request echo one
         > a request #1 one
         1ms c request echo two
         > b request #2 two
         2ms a reject #1 no
         100ms b gone
         > a request #3 two
         110ms tick
         > c failed rejected no",
    );
}

#[test]
fn a_last_error_that_cannot_be_translated_is_left_out() {
    check_with(
        |config| {
            config.limits.translate_bytes_max = 4;
            config.limits.rejections_max = 1;
        },
        "0ms worker w rejects json
         0ms w ready echo
         0ms client c told
         1ms c request echo hi
         > w request #1 hi
         2ms w reject #1 large
         > c failed rejected",
    );
}

#[test]
fn a_worker_that_flaps_behind_a_range_gives_no_new_hope() {
    check_with(
        |config| config.reject_wait = Duration::from_millis(110),
        "0ms client c told
         0ms worker w rejects
         0ms w ready api@1.10.0
         0ms c request api@* one
         > w request #1 one
         0ms w reject #1
         80ms w disconnect
         120ms tick
         > c failed rejected
         140ms w ready api@1.10.0",
    );
}

#[test]
fn a_rejected_request_goes_to_nobody_after_its_deadline() {
    let wait_timeout = Duration::from_millis(1900);
    let mut stage = Stage::new(Config { wait_timeout, ..Config::default() });
    for line in [
        "worker w1 rejects",
        "client c1 told",
        "worker w2",
        "w1 ready stock.*",
        "w2 ready st*",
        "c1 request stock.x one",
        "w1 reject #1 no",
    ] {
        stage.act(&format!("0ms {line}"));
    }
    stage.asked.clear();
    // The timer is due, but the worker disconnects before the broker handles the tick.
    stage.now = Time::from_micros(2_000_000);
    let peer = stage.names["w1"];
    stage.tell(Input::Disconnected { peer });
    assert_eq!(stage.asked, ["c1 failed expired"]);
}

/// A dispatch may still fail: if the worker is lost, the wait restarts. Found by the simulation
/// (seed 5550634763526541338, 13029 steps).
#[test]
fn the_wait_of_a_rejected_request_begins_anew_when_it_was_dispatched_meanwhile() {
    check(
        "0ms worker a rejects
         0ms a ready stock.x
         0ms client c told
         1ms c request stock.x hi
         > a request #1 hi
         2ms a reject #1 no
         500ms worker b
         500ms b ready stock.*
         800ms a disconnect
         > b request #2 hi
         810ms a ready stock.x
         900ms b gone
         1500ms a heartbeat
         1850ms tick
         1950ms tick
         > c failed rejected no
         = rejected 1, redelivered 1",
    );
}

/// Regression test: the worker's position in the rejected requests was reset to that of its last
/// registration, so it examined all of them again.
#[test]
fn a_worker_does_not_look_back_when_it_offers_another_service() {
    let mut stage = Stage::new(Config::default());
    for line in [
        "worker v rejects",
        "v ready two",
        "worker w several rejects",
        "w ready one",
        "client c",
        "c request two older",
        "v reject #1",
        "c request one newer",
        "w reject #2",
    ] {
        stage.act(&format!("0ms {line}"));
    }
    let worker = stage.broker.tables.peers.worker(stage.names["w"]).unwrap();
    let first = worker.registrations()[0];
    let looked_at = stage.broker.tables.registrations()[first].looked_at();
    stage.act("1ms w ready two");
    assert_eq!(stage.asked.last().unwrap(), "w request #3 older");
    assert_eq!(stage.broker.tables.registrations()[first].looked_at(), looked_at);
}
