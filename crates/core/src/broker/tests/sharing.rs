//! Tests of request coalescing.

use core::time::Duration;

use super::{check_with, shared};

#[test]
fn equal_requests_share_an_answer_where_that_is_set() {
    check_with(
        shared,
        "0ms worker w
         0ms worker v
         0ms w ready echo
         0ms v ready echo
         0ms client c
         0ms client d
         1ms c request echo hi id=1
         > w request #1 hi
         2ms d request echo hi id=2
         3ms d request echo other
         > v request #2 other
         4ms w final #1 ho
         > d final ho
         > c final ho
         5ms d request echo hi
         > w request #3 hi
         = dispatched 3, replied 2, shared 1",
    );
}

#[test]
fn parts_are_shared_and_nobody_joins_behind_one() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c
         0ms client d
         0ms client e
         0ms client f noparts
         1ms c request echo hi
         > w request #1 hi
         2ms d request echo hi
         2ms f request echo hi
         3ms w partial #1 h
         > d partial h
         > c partial h
         4ms e request echo hi
         5ms w final #1 o
         > d final o
         > c final o
         > w request #2 hi
         6ms w final #2 x
         > f final x
         > w request #3 hi",
    );
}

#[test]
fn who_shared_waits_by_itself_where_the_first_gave_up() {
    check_with(
        shared,
        "0ms worker w cancels
         0ms w ready echo
         0ms client c told=most
         0ms client d told=most
         0ms client e told=most
         1ms c request echo hi id=1
         > w request #1 hi
         2ms d request echo hi id=2
         2ms e request echo hi id=3
         3ms c cancel 1
         > w cancel #1
         4ms w final #1 late
         > w request #2 hi
         5ms w final #2 ho
         > e final ho
         > d final ho
         = cancelled 1, replied 2, dispatched 2",
    );
}

#[test]
fn who_shares_ends_by_itself_too() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c told
         0ms client d told
         0ms client e told=most
         1ms c request echo hi
         > w request #1 hi
         2ms d request echo hi timeout=20
         2ms e request echo hi
         3ms e gone
         30ms tick
         > d failed expired
         40ms w final #1 ho
         > c final ho
         = expired 1, client_gone 1, replied 1, in progress 0, bytes 0",
    );
}

#[test]
fn failures_are_shared_and_a_lost_worker_is_not_the_end() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c told redelivery=never
         0ms client d told
         1ms c request echo hi
         > w request #1 hi
         2ms d request echo hi
         3ms w gone
         > c failed worker_lost
         4ms worker v
         4ms v ready echo
         > v request #2 hi
         5ms c request echo hi
         6ms v failed #2 no
         > c failed failed no
         > d failed failed no",
    );
}

#[test]
fn who_shares_and_does_not_read_is_cut_and_holds_up_nobody() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c
         0ms client d
         1ms c request echo hi
         > w request #1 hi
         2ms d request echo hi
         3ms d filled
         > d pause
         > d close slow_reader
         4ms w partial #1 h
         > c partial h",
    );
}

#[test]
fn the_first_of_those_that_share_holds_up_nobody() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c
         0ms client d
         1ms c request echo hi
         > w request #1 hi
         2ms d request echo hi
         3ms c filled
         > c pause
         > c close slow_reader
         4ms w final #1 late
         > w request #2 hi
         5ms w final #2 ho
         > d final ho",
    );
}

#[test]
fn who_does_not_read_waits_aside_while_others_share() {
    check_with(
        shared,
        "0ms client c
         0ms client d
         1ms c request echo hi
         2ms d request echo hi
         3ms d filled
         > d pause
         4ms worker w
         4ms w ready echo
         > w request #1 hi
         5ms w final #1 ho
         > c final ho
         6ms d drained
         > d resume
         > w request #2 hi",
    );
}

#[test]
fn the_worker_hears_who_still_wants_a_shared_answer() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c
         0ms client d
         1ms c request echo hi id=one
         > w request #1 hi
         2ms d request echo hi id=two
         3ms d wants two
         > w wanted #1 one",
    );
}

#[test]
fn who_has_had_a_part_gets_no_other_answer() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c told
         0ms client d told
         1ms c request echo hi
         > w request #1 hi
         2ms d request echo hi
         3ms w partial #1 h
         > d partial h
         > c partial h
         4ms w gone
         > c failed worker_lost
         > d failed worker_lost
         5ms worker v
         5ms v ready echo
         = in progress 0",
    );
}

#[test]
fn who_does_not_read_is_not_fed_with_what_others_share() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client a
         0ms client b
         0ms client c
         0ms client x
         1ms x request echo busy
         > w request #1 busy
         1ms a request echo hi
         1ms c request echo hi
         1ms b request echo hi
         2ms a filled
         > a pause
         2ms b filled
         > b pause
         3ms w final #1 ho
         > x final ho
         > w request #2 hi
         4ms w partial #2 h
         > c partial h",
    );
}

#[test]
fn nobody_waits_for_a_client_that_does_not_read_to_share_with_it() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms worker v
         0ms v ready echo
         0ms client a
         0ms client b
         1ms a request echo hi
         > w request #1 hi
         2ms a filled
         > a pause
         > w pause
         3ms b request echo hi
         > v request #2 hi",
    );
}

#[test]
fn who_takes_the_place_of_one_that_gave_up_jumps_no_queue() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client a
         0ms client c told=most
         1ms a request echo busy
         > w request #1 busy
         2ms a request echo first
         3ms c request echo hi id=1
         4ms c request echo hi id=2
         5ms c cancel 1
         6ms w final #1 ho
         > a final ho
         > w request #2 first",
    );
}

#[test]
fn who_takes_that_place_keeps_its_own_time() {
    check_with(
        |config| {
            shared(config);
            config.wait_timeout = Duration::from_millis(100);
        },
        "0ms worker w
         0ms w ready echo
         0ms client a
         0ms client c told
         1ms a request echo busy
         > w request #1 busy
         2ms c request echo hi id=1
         2ms c request echo hi id=2
         90ms c cancel 1
         > c failed cancelled
         110ms tick
         > c failed expired",
    );
}

#[test]
fn each_kind_of_client_shares_with_its_own() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client a
         0ms client b noparts
         0ms client c noparts
         0ms client x
         1ms x request echo busy
         > w request #1 busy
         2ms a request echo hi
         3ms b request echo hi
         4ms c request echo hi
         = shared 1",
    );
}

#[test]
fn a_part_that_cannot_be_read_ends_all_that_share() {
    check_with(
        |config| {
            shared(config);
            config.limits.translate_bytes_max = 4;
        },
        "0ms worker w json
         0ms w ready echo
         0ms client c told
         0ms client d told
         1ms c request echo hi
         > w request #1 hi
         2ms d request echo hi
         3ms w partial #1 large
         > d failed untranslatable
         > c failed untranslatable
         4ms w final #1 late",
    );
}

#[test]
fn who_shared_a_run_that_is_over_waits_as_long_as_any() {
    check_with(
        |config| {
            shared(config);
            config.wait_timeout = Duration::from_millis(100);
        },
        "0ms worker w
         0ms w ready echo
         0ms client a told
         0ms client b told
         0ms client c told
         1ms a request echo hi
         > w request #1 hi
         2ms b request echo hi
         2ms c request echo hi
         3ms w gone
         110ms tick
         > a failed expired
         > b failed expired
         > c failed expired",
    );
}

#[test]
fn who_gives_up_a_run_leaves_others_the_wait_of_any() {
    check_with(
        |config| {
            shared(config);
            config.wait_timeout = Duration::from_millis(100);
        },
        "0ms worker w
         0ms w ready echo
         0ms client c told
         0ms client d told
         0ms client e told
         1ms c request echo hi id=1
         > w request #1 hi
         2ms d request echo hi
         2ms e request echo hi
         3ms c cancel 1
         > c failed cancelled
         110ms tick
         > d failed expired
         > e failed expired",
    );
}

#[test]
fn the_busy_limit_ends_those_that_share_too() {
    check_with(
        |config| {
            shared(config);
            config.busy_timeout = Duration::from_millis(50);
        },
        "0ms worker w concurrency=2
         0ms client c told
         0ms client d told
         0ms w ready echo
         1ms c request echo busy
         > w request #1 busy
         1ms c request echo busy2
         > w request #2 busy2
         2ms c request echo hi timeout=never
         3ms d request echo hi
         40ms w final #1 ho
         > c final ho
         > w request #3 hi
         45ms w final #2 ho
         > c final ho
         100ms tick
         > d failed expired
         > c failed worker_lost",
    );
}

#[test]
fn parts_that_are_kept_give_those_that_share_their_time_again() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c told noparts
         0ms client d told noparts
         1ms c request echo hi timeout=100
         > w request #1 hi
         1ms d request echo hi timeout=100
         80ms w partial #1 h
         150ms w final #1 o
         > d final h|o
         > c final h|o",
    );
}

#[test]
fn what_stands_beside_a_request_is_not_held_against_those_that_follow_it() {
    check_with(
        shared,
        "0ms worker w greets
         0ms w hello max=390
         > w welcome
         0ms w ready echo
         0ms client c told
         1ms c request echo other id=1
         > w request #1 other
         2ms c request echo hi id=2 beside=0123456789
         3ms c request echo hi id=3 beside=0123
         4ms w final #1 ho
         > c final ho
         > c failed untranslatable
         > w request #2 hi
         5ms w final #2 hey
         > c final hey
         = untranslatable 1, replied 2",
    );
}

#[test]
fn a_part_that_the_first_cannot_read_is_not_the_end_of_those_that_can() {
    check_with(
        shared,
        "0ms worker w cancels
         0ms w ready echo
         0ms client c greets told
         0ms c hello max=387
         > c welcome
         0ms client d greets told
         0ms d hello max=386
         > d welcome
         0ms client e told
         1ms c request echo hi id=1
         > w request #1 hi
         2ms d request echo hi id=2
         3ms e request echo hi id=3
         4ms w partial #1 long
         > d failed untranslatable
         > w cancel #1
         > c failed untranslatable
         5ms w failed #1
         > w request #2 hi
         6ms w final #2 long
         > e final long
         = untranslatable 2, replied 1",
    );
}
