//! Tests of limits: every queue and table is bounded.

use core::time::Duration;

use super::*;
use crate::broker::deadlines::UNTIMED_MAX;

#[test]
fn all_workers_together_offer_no_more_than_they_may() {
    check_with(
        |config| config.limits.offers_max = 3,
        "show reasons
         0ms worker v several
         0ms v ready a
         0ms v ready b
         0ms worker w greets several
         0ms w hello
         > w welcome
         0ms w ready a
         0ms w ready a
         0ms w ready b
         > w disconnect Full
         = too_many_offers 1, services 2
         1ms v ready c
         2ms v withdraw a
         3ms worker u
         3ms u ready a
         4ms worker t
         4ms t ready a
         > t disconnect Full
         = too_many_offers 2, services 3",
    );
}

#[test]
fn requests_of_a_client() {
    check_with(
        |config| config.limits.client_requests_max = 2,
        "
        0ms client c
        0ms client t told
        0ms client d
        0ms c request echo 1
        0ms c request echo 2
        1ms c request echo 3
          > c pause
        2ms d request echo 4
        2ms t request echo 5
        2ms t request echo 6
        2ms t request echo 7
          > t failed refused
        3ms worker w
        3ms w ready echo
          > w request #1 1
        4ms w final #1 one
          > c final one
          > w request #2 2
          > c resume
        = refused 1, held 1, received 7
        ",
    );
}

#[test]
fn bytes_of_a_client() {
    check_with(
        |config| config.limits.client_bytes_max = 600,
        "
        0ms client t told
        0ms t request echo abcdef
        0ms t request echo abcdef
        0ms t request echo abcdef
          > t failed refused
        = bytes 524
        ",
    );
}

#[test]
fn a_request_that_is_too_large_for_the_limit_may_come_alone() {
    check_with(
        |config| {
            config.limits.client_bytes_max = 10;
            config.limits.service_bytes_max = 10;
            config.limits.request_bytes_max = 10;
        },
        "
        0ms client t told
        0ms t request echo abcdefghijklmnopqrstuvwxyz
        0ms t request echo x
          > t failed refused
        = received 2, in progress 1
        ",
    );
}

#[test]
fn requests_of_a_service() {
    check_with(
        |config| config.limits.service_requests_max = 1,
        "
        0ms client c
        0ms client d
        0ms client e
        0ms c request echo 1
        1ms d request echo 2
          > d pause
        1ms e request echo 3
          > e pause
        2ms c request other 4
        3ms worker w
        3ms w ready echo
          > w request #1 1
        4ms w final #1 one
          > c final one
          > w request #2 2
          > d resume
        5ms w final #2 two
          > d final two
          > w request #3 3
          > e resume
        6ms w final #3 three
          > e final three
        = held 2, replied 3, in progress 1
        ",
    );
}

#[test]
fn requests_in_all() {
    check_with(
        |config| config.limits.requests_max = 2,
        "
        0ms client c
        0ms client d
        0ms client t told
        0ms c request a 1
        0ms c request b 2
        1ms d request c 3
          > d pause
        1ms t request d 4
          > t failed refused
        2ms worker w
        2ms w ready a
          > w request #1 1
        3ms w final #1 one
          > c final one
          > d resume
        = held 1, refused 1, in progress 2
        ",
    );
}

#[test]
fn names_without_workers() {
    check_with(
        |config| config.limits.names_max = 2,
        "
        0ms client c
        0ms client d
        0ms client t told
        0ms worker w
        0ms w ready offered
        0ms c request a 1
        0ms c request b 2
        0ms c request a 3
        1ms d request c 4
          > d pause
        1ms t request d 5
          > t failed refused
        2ms t request offered 6
          > w request #1 6
        3ms worker v
        3ms v ready b
          > v request #2 2
          > d resume
        4ms v final #2 two
          > c final two
        = unoffered 2, services 4
        ",
    );
}

#[test]
fn names_are_forgotten() {
    check(
        "
        0ms client c
        0ms client d
        0ms c request a 1
        0ms d request b 2
        1ms worker w
        1ms w ready echo
        = services 3
        2ms c gone
        2ms d gone
        3ms w disconnect
        = services 0, unoffered 0, bytes 0
        ",
    );
}

#[test]
fn a_client_that_goes_leaves_the_door() {
    check_with(
        |config| config.limits.service_requests_max = 1,
        "
        0ms client c
        0ms client d
        0ms client e
        0ms c request echo 1
        0ms d request echo 2
          > d pause
        0ms e request echo 3
          > e pause
        1ms d gone
        2ms c gone
          > e resume
        = client_gone 2, received 3
        ",
    );
}

#[test]
fn who_waits_for_one_limit_does_not_stand_in_the_way_of_who_waits_for_another() {
    check_with(
        |config| {
            config.limits.service_requests_max = 1;
            config.limits.requests_max = 2;
        },
        "
        0ms client c
        0ms client d
        0ms client e
        0ms c request a 1
        0ms c request b 2
        1ms d request a 3
          > d pause
        2ms e request x 4
          > e pause
        3ms worker w
        3ms w ready b
          > w request #1 2
        4ms w final #1 two
          > c final two
          > e resume
        ",
    );
}

#[test]
fn what_waits_at_the_door_ends_with_what_is_before_it() {
    check_with(
        |config| config.limits.client_requests_max = 1,
        "
        0ms client c
        0ms c request echo 1
        0ms c request echo 2
          > c pause
        61s tick
          > c resume
        122s tick
        = no_such_service 2
        ",
    );
}

#[test]
fn a_client_that_does_not_read_pauses_its_worker_and_is_cut() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        2ms w partial #1 a
          > c partial a
        3ms c filled
          > c pause
          > w pause
        10000ms tick
        10005ms tick
          > w resume
          > c close slow_reader
        10006ms w partial #1 b
        10007ms w final #1 c
        = client_gone 1, late 2
        ",
    );
}

#[test]
fn a_client_that_reads_slowly_is_not_cut() {
    check(
        "
        0ms client c
        0ms c filled
          > c pause
        9s c draining
        18s c draining
        27s tick
        27s c drained
          > c resume
        28s c draining
        60s tick
        ",
    );
}

#[test]
fn a_client_that_does_not_read_is_cut_at_once_where_it_would_hold_up_others() {
    check(
        "
        0ms client c
        0ms client d
        0ms worker w concurrency=2
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        1ms d request echo 2
          > w request #2 2
        2ms c filled
          > c pause
          > c close slow_reader
        3ms w final #2 two
          > d final two
        = client_gone 1
        ",
    );
}

#[test]
fn requests_of_a_client_that_does_not_read_take_no_worker() {
    check(
        "
        0ms client c
        0ms client d
        0ms c request echo 1
        0ms c request echo 2
        0ms c request echo 3
        0ms c request other 4
        0ms d request echo 5
        0ms c filled
          > c pause
        1ms worker w
        1ms w ready echo
          > w request #1 5
        2ms w final #1 five
          > d final five
        2ms worker v
        2ms v ready other
        3ms c drained
          > c resume
          > w request #2 1
          > v request #3 4
        4ms w final #2 one
          > c final one
          > w request #4 2
        ",
    );
}

#[test]
fn requests_that_are_put_aside_end_like_any_other() {
    check(
        "
        0ms client c
        0ms c request echo 1
        0ms c request echo 2 timeout=500
        0ms c request echo 3
        0ms c filled
          > c pause
        1ms worker w
        1ms w ready echo
        600ms tick
        = expired 1
        700ms c gone
        = client_gone 2, in progress 0
        800ms w gone
        = services 0, bytes 0
        ",
    );
}

#[test]
fn a_paused_worker_gets_no_requests_of_others() {
    check(
        "
        0ms client c
        0ms client d
        0ms worker w concurrency=2
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        2ms c filled
          > c pause
          > w pause
        3ms d request echo 2
        4ms c drained
          > c resume
          > w resume
          > w request #2 2
        ",
    );
}

#[test]
fn a_name_that_is_offered_makes_room_for_another() {
    check_with(
        |config| config.limits.names_max = 1,
        "
        0ms client c
        0ms client d
        0ms c request x 1
        1ms d request y 2
          > d pause
        2ms worker w
        2ms w ready x
          > w request #1 1
          > d resume
        ",
    );
}

#[test]
fn a_request_does_not_wait_for_room_for_a_name_that_is_offered() {
    check_with(
        |config| config.limits.names_max = 1,
        "
        0ms client c
        0ms client d
        0ms client e
        0ms c request x 1
        1ms d request y 2
          > d pause
        1ms e request z 3
          > e pause
        2ms worker w
        2ms w ready z
          > w request #1 3
          > e resume
        ",
    );
}

#[test]
fn the_first_in_line_goes_and_the_next_fits() {
    check_with(
        |config| config.limits.service_bytes_max = 800,
        "
        0ms client c
        0ms client d
        0ms client e
        0ms c request echo 1
        0ms c request echo 2
        1ms d request echo 0123456789012345678901234567890123456789
          > d pause
        1ms e request echo 3
          > e pause
        2ms d gone
          > e resume
        ",
    );
}

#[test]
fn who_is_let_in_and_done_at_once_may_be_the_last_of_its_service() {
    check_with(
        |config| config.limits.service_requests_max = 1,
        "
        0ms client c
        0ms client d
        0ms c request echo 1
        1ms d request echo 2 timeout=0
          > d pause
        2ms c gone
          > d resume
        = services 0
        ",
    );
}

#[test]
fn what_waits_at_the_door_is_bounded() {
    check_with(
        |config| config.limits.request_bytes_max = 600,
        "
        0ms client c
        0ms client d
        0ms client e
        0ms client f
        0ms c request echo 1
        0ms c request echo 2
        1ms d request echo 3
          > d pause
        1ms e request echo 4
          > e pause
        1ms f request echo 5
          > f close no_memory
        = refused 1, held 2
        2ms shutdown
        = shut_down 4, received 5
        ",
    );
}

#[test]
fn a_worker_that_does_not_read_gets_nothing_more_and_is_cut() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        0ms worker v
        0ms v ready echo
        1ms w filled
          > w pause
        2ms c request echo 1
          > v request #1 1
        2ms c request echo 2
        3ms w drained
          > w resume
          > w request #2 2
        4ms w filled
          > w pause
        4ms v heartbeat
        2s v heartbeat
        10010ms tick
          > w close slow_reader
        11s v final #1 one
          > c final one
          > v request #3 2
        ",
    );
}

#[test]
fn heartbeats_that_are_too_close() {
    check_with(
        |config| config.heartbeat_interval = Duration::ZERO,
        "
        0ms worker w
        0ms w ready echo
        1s tick
          > w disconnect
        ",
    );
}

#[test]
fn what_a_redelivery_gives_back_is_room_for_others() {
    check_with(
        |config| config.limits.request_bytes_max = 600,
        "
        0ms client c noparts
        0ms client d
        0ms worker w
        0ms w ready echo
        0ms worker v
        0ms v ready echo
        1ms c request echo 1
          > w request #1 1
        2ms w partial #1 a
        3ms d request other 2
          > d pause
        4ms w gone
          > v request #2 1
          > d resume
        ",
    );
}

#[test]
fn attempts() {
    check_with(
        |config| config.attempts_max = 1,
        "
        0ms client c told
        0ms worker w
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        2ms w gone
          > c failed worker_lost
        ",
    );
}

#[test]
fn waiting() {
    check_with(
        |config| config.wait_timeout = Duration::from_millis(100),
        "
        0ms client c told
        0ms c request echo 1
        102ms tick
          > c failed no_such_service
        ",
    );
}

#[test]
fn a_refused_request_keeps_the_note_of_its_body() {
    check_with(
        |config| config.limits.client_requests_max = 1,
        "
        0ms client c told
        1ms c request echo one
        2ms c request echo two note=3
        > c failed refused note=3
        3ms worker w
        3ms w ready echo
        > w request #1 one
        4ms w final #1 a
        > c final a
        5ms c request echo three note=2
        > w request #2 three
        6ms w final #2 b
        > c final b note=2
        ",
    );
}

#[test]
fn one_large_message_may_be_read_in_peace() {
    check(
        "
        0ms worker w concurrency=any
        0ms w ready echo
        0ms client c
        0ms client d
        1ms c request echo one
        > w request #1 one
        1ms d request echo two
        > w request #2 two
        2ms w final #1 large
        > c final large
        3ms c laden
        9000ms w heartbeat
        9000ms c draining
        9500ms c request echo three
        > w request #3 three
        9900ms c drained
        9950ms w heartbeat
        12000ms w heartbeat
        ",
    );
}

#[test]
fn one_large_message_that_is_not_read_costs_the_connection() {
    check(
        "
        0ms client c
        1ms c laden
        10010ms tick
        > c close slow_reader
        ",
    );
}

#[test]
fn a_laden_client_can_be_filled() {
    check(
        "
        0ms client c
        1ms c laden
        5000ms c filled
        > c pause
        9000ms c drained
        > c resume
        20000ms tick
        ",
    );
}

#[test]
fn requests_in_the_hands_of_one_worker() {
    check_with(
        |config| config.limits.worker_requests_max = 2,
        "
        0ms worker w concurrency=any
        0ms w ready echo
        0ms client c
        1ms c request echo one id=1
        > w request #1 one
        1ms c request echo two id=2
        > w request #2 two
        2ms c cancel 1
        2ms c cancel 2
        3ms c request echo three
        = in progress 1
        4ms w final #1 late
        > w request #3 three
        ",
    );
}

#[test]
fn who_wants_a_worker_at_once_and_does_not_read_gets_none() {
    check_with(
        |config| config.limits.client_requests_max = 1,
        "
        0ms worker w
        0ms w ready echo
        0ms worker v
        0ms v ready other
        0ms client c
        1ms c request other one
        > v request #1 one
        2ms c request echo two timeout=0
        > c pause
        3ms c filled
        > v pause
        4ms v final #1 ho
        > c final ho
        = expired 1, in progress 0
        5ms c drained
        > c resume
        > v resume
        ",
    );
}

/// Sends `count` requests with bodies of `bytes` bytes from a client.
fn ask(stage: &mut Stage, client: PeerId, count: usize, bytes: usize) {
    for _ in 0..count {
        let body = Frames::from_slices(&[alloc::vec![7; bytes]]);
        let command = FromClient::Request(Request::new("echo", body));
        stage.outputs(&Input::FromClient { peer: client, command });
    }
}

#[test]
fn records_that_are_gone_leave_so_much_pooled_memory_and_no_more() {
    let mut stage = Stage::new(Config::default());
    stage.play(
        "
        0ms worker w concurrency=any rejects
        0ms client c
        0ms w ready echo
        ",
    );
    let client = stage.names["c"];
    for (round, bytes) in [2, 252, 4_000].into_iter().enumerate() {
        ask(&mut stage, client, 3_000, bytes);
        assert_eq!(stage.broker.holdings().requests, 3_000);
        assert_eq!(stage.broker.tables.requests.pooled(), 0, "round {round}");
        let command = FromClient::Disconnect;
        stage.outputs(&Input::FromClient { peer: client, command });
        let worker = stage.names["w"];
        let command = FromWorker::Disconnect;
        stage.outputs(&Input::FromWorker { peer: worker, command });
        // `pooled` also checks the memory of each entry.
        assert_eq!(stage.broker.tables.requests.pooled(), 1_024, "round {round}");
        stage.broker.audit();
        let command = FromWorker::Ready { service: "echo".into() };
        stage.outputs(&Input::FromWorker { peer: worker, command });
    }
}

/// Regression test: the deferred request was admitted before the newly registered worker was idle.
#[test]
fn deferred_request_goes_to_the_worker_that_registers_for_its_name() {
    check_with(
        |config| config.limits.names_max = 1,
        "
        0ms client c
        0ms client d
        0ms c request a one
        1ms d request b two timeout=0
        > d pause
        2ms worker w
        2ms w ready b
        > w request #1 two
        > d resume
        ",
    );
}

/// Regression test: the deferred request was admitted before older queued requests were dispatched,
/// and took the worker in their place.
#[test]
fn deferred_request_overtakes_none_that_is_queued() {
    check_with(
        |config| config.limits.names_max = 1,
        "
        0ms client c
        0ms client d
        0ms worker w several
        0ms w ready a
        0ms c request x.1 one
        1ms d request x.2 two
        > d pause
        2ms w ready x.*
        > w request #1 one
        > d resume
        ",
    );
}

#[test]
fn only_so_many_requests_have_no_timer() {
    let mut config = Config::default();
    config.limits.client_requests_max = 1_000_000;
    let mut stage = Stage::new(config);
    stage.play("0ms client c");
    let client = stage.names["c"];
    ask(&mut stage, client, UNTIMED_MAX + 10, 0);
    assert_eq!(stage.broker.timers.untimed(), UNTIMED_MAX);
    // All requests expire, with or without a timer.
    stage.now = Time::from_micros(61_000_000);
    stage.outputs(&Input::Tick);
    let ended = stage.broker.counters().outcome(Outcome::NoSuchService);
    assert_eq!(ended, (UNTIMED_MAX + 10) as u64);
    assert_eq!(stage.broker.timers.untimed(), 0);
}
