//! Tests of outcomes: each request ends with exactly one, and the client receives its report.

use core::time::Duration;

use super::{check, check_with};
use crate::ByteStr;
use crate::broker::ServiceConfig;

#[test]
fn failed_by_the_worker() {
    check(
        "
        0ms client c told
        0ms client d
        0ms worker w
        0ms w ready echo
        1ms c request echo x
          > w request #1 x
        2ms w failed #1 boom
          > c failed failed boom
        3ms d request echo x
          > w request #2 x
        4ms w failed #2 boom
        = failed 2
        ",
    );
}

#[test]
fn expired_while_it_waits() {
    check(
        "
        0ms client c told
        0ms client d
        0ms worker w
        0ms w ready echo
        1ms d request echo busy
          > w request #1 busy
        2ms c request echo x
        60s tick
        61s tick
          > c failed expired
        62s w final #1
          > d final
        = expired 1, replied 1
        ",
    );
}

#[test]
fn no_such_service() {
    check(
        "
        0ms client c told
        0ms c request echo x
        61s tick
          > c failed no_such_service
        = no_such_service 1, services 0
        ",
    );
}

#[test]
fn no_such_service_is_found_earlier_where_that_is_set() {
    check_with(
        |config| config.no_worker_wait = Some(Duration::from_secs(1)),
        "
        0ms client c told
        0ms worker w
        0ms w ready echo
        0ms c request echo 1
          > w request #1 1
        0ms c request echo 2
        0ms c request nope 3
        2s tick
          > c failed no_such_service
        3s w final #1 1
          > c final 1
          > w request #2 2
        3s w disconnect
        3500ms tick
        4100ms tick
        = no_such_service 1, in progress 1
        ",
    );
}

#[test]
fn expired_at_the_request_s_own_deadline() {
    check(
        "
        0ms client c told
        0ms worker w
        0ms w ready echo
        1ms c request echo 1 timeout=500
          > w request #1 1
        1ms c request echo 2 timeout=400
        402ms tick
          > c failed expired
        502ms tick
          > c failed expired
        503ms c request echo 3
        600ms w final #1 late
          > w request #2 3
        = expired 2, late 1
        ",
    );
}

#[test]
fn a_deadline_starts_again_with_every_part() {
    check(
        "
        0ms client c told
        0ms worker w
        0ms w ready echo
        0ms c request echo 1 timeout=500
          > w request #1 1
        400ms w partial #1 a
          > c partial a
        800ms w partial #1 b
          > c partial b
        1400ms tick
          > c failed expired
        = expired 1
        ",
    );
}

#[test]
fn an_expired_request_is_never_dispatched() {
    // The worker registers exactly at the deadline, before the timer has fired.
    check(
        "
        0ms client c told
        0ms worker w
        0ms c request echo 1 timeout=1
        1ms w ready echo
          > c failed expired
        = expired 1, dispatched 0
        ",
    );
}

#[test]
fn a_timeout_of_nothing_wants_a_worker_at_once() {
    check(
        "
        0ms client c told
        0ms worker w
        0ms w ready echo
        5ms c request echo 1 timeout=0
          > w request #1 1
        5ms c request echo 2 timeout=0
          > c failed expired
        6ms w final #1 1
          > c final 1
        6ms c request nope 3 timeout=0
          > c failed no_such_service
        ",
    );
}

#[test]
fn who_wanted_a_worker_at_once_waits_like_others_when_it_is_lost() {
    check(
        "
        0ms client c told
        0ms worker w
        0ms w ready echo
        1ms c request echo 1 timeout=0 again
          > w request #1 1
        2ms w gone
        90s tick
          > c failed expired
        ",
    );
}

#[test]
fn services_can_have_timings_of_their_own() {
    check_with(
        |config| {
            config.services.push(ServiceConfig {
                name: ByteStr::from("slow"),
                wait_timeout: Some(Duration::from_secs(100)),
                busy_timeout: Some(Duration::from_secs(5)),
                ..ServiceConfig::default()
            });
        },
        "
        0ms client c told
        0ms c request slow 1
        0ms c request echo 2
        61s tick
          > c failed no_such_service
        62s worker w
        62s w ready slow
          > w request #1 1
        68s tick
          > c failed expired
          > w disconnect
        ",
    );
}

#[test]
fn cancelled_while_it_waits_and_while_it_runs() {
    check(
        "
        0ms client c told
        0ms worker w cancels
        0ms w ready echo
        1ms c request echo 1 id=a
          > w request #1 1
        1ms c request echo 2 id=b
        2ms c cancel b
          > c failed cancelled
        3ms c cancel a
          > w cancel #1
          > c failed cancelled
        3ms c cancel a
        4ms c request echo 3
        5ms w final #1 late
          > w request #2 3
        = cancelled 2, late 1
        ",
    );
}

#[test]
fn client_gone() {
    check(
        "
        0ms client c
        0ms client d
        0ms worker w
        0ms w ready echo
        0ms worker v cancels
        0ms v ready echo
        1ms c request echo 1
          > w request #1 1
        1ms c request echo 2
          > v request #2 2
        1ms c request echo 3
        2ms d request echo 4
        3ms c gone
          > v cancel #2
        4ms w final #1 late
          > w request #3 4
        = client_gone 3, late 1, in progress 1
        ",
    );
}

#[test]
fn a_lost_worker_s_request_goes_to_another() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        0ms worker v
        0ms v ready echo
        1ms c request echo 1
          > w request #1 1
        2ms w gone
          > v request #2 1
        3ms v final #2 one
          > c final one
        = replied 1, redelivered 1, dispatched 2
        ",
    );
}

#[test]
fn a_redelivered_request_is_the_first_in_the_queue() {
    check(
        "
        0ms client c
        0ms worker w concurrency=2
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        1ms c request echo 2
          > w request #2 2
        1ms c request echo 3
        2ms w gone
        3ms worker v concurrency=3
        3ms v ready echo
          > v request #3 1
          > v request #4 2
          > v request #5 3
        ",
    );
}

#[test]
fn worker_lost_after_all_attempts() {
    check(
        "
        0ms client c told
        0ms worker u
        0ms u ready echo
        0ms worker v
        0ms v ready echo
        0ms worker w
        0ms w ready echo
        1ms c request echo 1
          > u request #1 1
        2ms u gone
          > v request #2 1
        3ms v disconnect
          > w request #3 1
        4ms w gone
          > c failed worker_lost
        = worker_lost 1, redelivered 2
        ",
    );
}

#[test]
fn worker_lost_after_a_part_of_the_reply() {
    check(
        "
        0ms client c told
        0ms worker u
        0ms u ready echo
        0ms worker v
        0ms v ready echo
        1ms c request echo 1
          > u request #1 1
        2ms u partial #1 a
          > c partial a
        3ms u gone
          > c failed worker_lost
        = worker_lost 1, redelivered 0
        ",
    );
}

#[test]
fn parts_that_did_not_go_out_do_not_prevent_redelivery() {
    check(
        "
        0ms client c noparts
        0ms worker u
        0ms u ready echo
        0ms worker v
        0ms v ready echo
        1ms c request echo 1
          > u request #1 1
        2ms u partial #1 a
        3ms u gone
          > v request #2 1
        4ms v partial #2 b
        4ms v final #2 c
          > c final b|c
        ",
    );
}

#[test]
fn redelivery_is_as_the_client_s_dialect_has_it() {
    check(
        "
        0ms client never told redelivery=never
        0ms client asked told redelivery=asked
        0ms worker w concurrency=any
        0ms w ready echo
        1ms never request echo 1 again
          > w request #1 1
        1ms asked request echo 2
          > w request #2 2
        1ms asked request echo 3 again
          > w request #3 3
        2ms w gone
          > asked failed worker_lost
          > never failed worker_lost
        3ms worker v
        3ms v ready echo
          > v request #4 3
        = worker_lost 2, redelivered 1
        ",
    );
}

#[test]
fn shut_down() {
    check(
        "
        0ms client c told
        0ms client d
        0ms worker w
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        1ms c request echo 2
        1ms d request echo 3
        2ms shutdown
          > c failed shut_down
          > c failed shut_down
          > w disconnect
        3ms c request echo 4
          > c failed shut_down
        3ms w ready echo
          > w disconnect
        = received 4, shut_down 4, in progress 0
        ",
    );
}

#[test]
fn a_request_is_expired_at_the_busy_limit_and_its_worker_lost() {
    check(
        "
        0ms client c told
        0ms worker w
        0ms w ready echo
        0ms worker v
        0ms v ready echo
        1s c request echo 1
          > w request #1 1
        600s tick
          > v disconnect
        902s tick
          > c failed expired
          > w disconnect
        = expired 1, redelivered 0
        ",
    );
}

#[test]
fn a_worker_that_serves_many_loses_only_the_slot_at_the_busy_limit() {
    check_with(
        |config| config.busy_timeout = Duration::from_secs(2),
        "
        0ms client c told
        0ms worker w concurrency=1
        0ms worker v concurrency=2
        0ms v ready echo
        0ms c request echo 1
          > v request #1 1
        1s v heartbeat
        1s c request echo 2
          > v request #2 2
        1900ms v heartbeat
        2010ms tick
          > c failed expired
        2500ms v final #1 late
        2500ms v final #2 2
          > c final 2
        = expired 1, late 1, replied 1
        ",
    );
}

#[test]
fn a_worker_that_is_told_to_cancel_keeps_the_slot_beyond_the_busy_limit_until_its_last_word() {
    check_with(
        |config| config.busy_timeout = Duration::from_secs(2),
        "
        0ms client c told
        0ms worker v concurrency=2 cancels
        0ms v ready echo
        0ms c request echo 1
          > v request #1 1
        1ms c request echo 2 timeout=never
          > v request #2 2
        1s c request echo 3
        1900ms v heartbeat
        2010ms tick
          > v cancel #1
          > c failed expired
          > v cancel #2
          > c failed worker_lost
        4s v heartbeat
        4s v partial #1 still
        5s v failed #1 done
          > v request #3 3
        6s v final #3 3
          > c final 3
        6s c request echo 4
          > v request #4 4
        6s v final #2 late
        = expired 1, worker_lost 1, late 3, replied 1
        ",
    );
}

#[test]
fn of_requests_with_one_id_the_first_is_meant() {
    check(
        "
        0ms client c told
        1ms c request echo one id=7
        2ms c request echo two id=7
        3ms c cancel 7
        > c failed cancelled
        4ms c cancel 7
        = cancelled 1, in progress 1
        ",
    );
}

/// Regression test: the deadline moves while the request has no timer, and the request was added to
/// the untimed list behind requests that had arrived later.
#[test]
fn deadline_that_moves_in_the_first_tenth_of_a_second_is_kept() {
    check(
        "
        0ms client c told
        0ms c request echo one id=1 timeout=88
        14ms c more 1 1
        60ms c request echo two
        89ms tick
        101ms tick
        103ms tick
        > c failed no_such_service
        ",
    );
}
