//! Tests of replies without a worker (the directory and the reply cache), of further replies after
//! the final one, and of bodies that must be translated.

use super::{check, check_with};

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
        |config| config.limits.cache_bytes_max = 2 * (512 + 4 + 16),
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
         = kept bytes 1064
         5ms c request echo a1
         > c final A1
         5ms c request echo b1
         > w request #4 b1",
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

#[test]
fn a_worker_that_knows_no_end_goes_on_to_a_client_that_knows_none() {
    check(
        "0ms worker w afterwords
         0ms w ready echo
         0ms client c afterwords
         1ms c request echo hi id=1
         > w request #1 hi
         2ms w final #1 a
         > c final a
         3ms w final #1 b
         > c final b
         4ms w partial #1 d
         > c final d
         5ms c request echo ho id=2
         > w request #2 ho
         6ms w final #1 late
         7ms w final #2 e
         > c final e
         8ms c filled
         > c pause
         9ms w final #2 unread
         10ms c drained
         > c resume
         11ms w final #2 f
         > c final f
         12ms c gone
         13ms w final #2 nobody
         = replied 2, late 3, received 2, in progress 0",
    );
}

#[test]
fn other_clients_get_the_first_reply_only() {
    check(
        "0ms worker w afterwords
         0ms w ready echo
         0ms client c
         1ms c request echo hi
         > w request #1 hi
         2ms w final #1 a
         > c final a
         3ms w final #1 b
         = replied 1, late 1",
    );
}

#[test]
fn a_kept_reply_that_is_too_large_to_be_translated_stays_where_it_is() {
    check_with(
        |config| config.limits.translate_bytes_max = 4,
        "0ms worker w json rejects
         0ms w ready echo
         0ms client c told
         1ms c request echo tiny
         > w request #1 tiny
         2ms w final #1 large keep=1000
         > c failed untranslatable
         3ms c request echo tiny
         > w request #2 tiny",
    );
}

#[test]
fn who_asks_for_one_worker_wants_its_answer() {
    check(
        "0ms worker w id=W rejects
         0ms w ready echo
         0ms client c
         1ms c request echo hi
         > w request #1 hi
         2ms w final #1 one keep=1000
         > c final one
         3ms worker v id=V rejects
         3ms v ready echo
         4ms c request echo hi target=V
         > v request #2 hi",
    );
}

#[test]
fn a_directory_is_json_to_everybody_and_never_translated() {
    check_with(
        |config| config.limits.translate_bytes_max = 4,
        "0ms worker w id=wanda
         0ms w ready echo
         0ms client c told
         0ms client j json
         1ms c request $dir
         > c final {\"echo\":[\"wanda\"]}
         1ms j request $dir
         > j final {\"echo\":[\"wanda\"]}",
    );
}
