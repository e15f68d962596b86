//! Answers without a worker: the directory, replies that are kept, answers that are shared; and
//! bodies that have to be translated.

use super::{ServiceConfig, check, check_with};
use crate::Label;

fn shared(config: &mut super::Config) {
    config.services.push(ServiceConfig {
        name: Label::from("echo"),
        share: true,
        ..ServiceConfig::default()
    });
}

#[test]
fn the_directory_says_who_offers_what() {
    check(
        "0ms client c json
         1ms c request $dir
         > c final {}
         2ms worker a id=anna
         2ms worker b id=bert
         2ms a ready echo
         2ms b ready echo
         3ms c request $dir
         > c final {\"echo\":[\"anna\",\"bert\"]}
         4ms c request $dir \"echo\"
         > c final [\"anna\",\"bert\"]
         5ms c request $dir \"nope\"
         > c final []
         6ms c request $dir undefined
         > c final {\"echo\":[\"anna\",\"bert\"]}
         7ms a gone
         8ms client d
         8ms d request $dir echo
         > d final [\"bert\"]
         = received 6, replied 6, services 1",
    );
}

#[test]
fn a_directory_of_a_worker_comes_first() {
    check(
        "0ms worker a id=anna
         0ms a ready $dir
         0ms client c
         1ms c request $dir echo
         > a request #1 echo
         2ms a gone
         3ms c request $dir echo
         > c final []",
    );
}

#[test]
fn a_reply_is_kept_for_as_long_as_it_is_good() {
    check(
        "0ms worker w rejects
         0ms w ready echo
         0ms client c
         0ms client d
         1ms c request echo hi
         > w request #1 hi
         2ms w final #1 ho keep=100
         > c final ho
         3ms d request echo hi
         > d final ho
         4ms c request echo other
         > w request #2 other
         5ms w final #2 x
         > c final x
         6ms c request echo hi fresh
         > w request #3 hi
         7ms w final #3 new keep=100
         > c final new
         8ms c request echo hi
         > c final new
         9ms w gone
         10ms c request echo hi
         > c final new
         120ms c request echo hi
         = replied 6, dispatched 3, kept bytes 0, received 7",
    );
}

#[test]
fn replies_in_parts_and_failures_are_not_kept() {
    check(
        "0ms worker w rejects
         0ms w ready echo
         0ms client c told
         1ms c request echo hi
         > w request #1 hi
         2ms w partial #1 h
         > c partial h
         3ms w final #1 o keep=100
         > c final o
         4ms c request echo hi
         > w request #2 hi
         5ms w failed #2 no keep=100
         > c failed failed no
         6ms c request echo hi
         > w request #3 hi
         = kept bytes 0",
    );
}

#[test]
fn what_is_kept_is_bounded_and_the_oldest_goes() {
    check_with(
        |config| config.limits.cache_bytes_max = 2 * (512 + 4),
        "0ms worker w rejects
         0ms w ready echo
         0ms client c
         1ms c request echo a1
         > w request #1 a1
         1ms w final #1 A1 keep=1000
         > c final A1
         2ms c request echo b1
         > w request #2 b1
         2ms w final #2 B1 keep=1000
         > c final B1
         3ms c request echo a1
         > c final A1
         4ms c request echo d1
         > w request #3 d1
         4ms w final #3 D1 keep=1000
         > c final D1
         = kept bytes 1032
         5ms c request echo a1
         > c final A1
         5ms c request echo b1
         > w request #4 b1",
    );
}

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
fn equal_requests_do_not_share_elsewhere() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms worker v
         0ms v ready echo
         0ms client c
         1ms c request echo hi
         > w request #1 hi
         2ms c request echo hi
         > v request #2 hi",
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
fn bodies_of_another_form_must_not_be_too_large() {
    check_with(
        |config| config.limits.translate_bytes_max = 4,
        "0ms worker w json
         0ms w ready echo
         0ms client c told
         0ms client j told json
         1ms c request echo small
         > c failed untranslatable
         2ms j request echo large
         > w request #1 large
         3ms w final #1 large
         > j final large
         4ms c request echo tiny
         > w request #2 tiny
         5ms w final #2 large
         > c failed untranslatable
         6ms c request echo tiny
         > w request #3 tiny
         7ms w partial #3 large
         > c failed untranslatable
         8ms w final #3 late
         9ms c request echo tiny
         > w request #4 tiny
         10ms w failed #4 large
         > c failed failed
         = untranslatable 3, replied 1, failed 1, late 1, in progress 0",
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
fn own_services_read_either_form() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client c
         0ms client j json
         1ms c request mmi.service echo
         > c final 200
         1ms j request mmi.service \"echo\"
         > j final 200
         1ms j request mmi.service \"nope\"
         > j final 404
         1ms j request mmi.service
         > j final 404
         1ms j request mmi.other
         > j final 501",
    );
}
