//! Tests of dispatch: the worker that gets a request, the time at which it gets it, and the reply.

use super::{check, check_with};

#[test]
fn a_request_goes_to_the_worker_and_the_reply_comes_back() {
    check(
        "
        0ms worker w
        0ms w ready echo
        0ms client c
        1ms c request echo hello|world
          > w request #1 hello|world
        2ms w final #1 HELLO||WORLD
          > c final HELLO||WORLD
        = received 1, replied 1, in progress 0, dispatched 1, bytes 0
        ",
    );
}

#[test]
fn a_request_waits_until_a_worker_comes() {
    check(
        "
        0ms client c
        0ms c request echo one
        1ms c request echo two
        2s worker w
        2s w ready other
        3s worker v
        3s v ready echo
          > v request #1 one
        4s v final #1 1
          > c final 1
          > v request #2 two
        = in progress 1, dispatched 2
        ",
    );
}

#[test]
fn the_least_recently_used_worker_is_next() {
    check(
        "
        0ms client c
        0ms worker u
        0ms u ready echo
        1ms worker v
        1ms v ready echo
        2ms worker w
        2ms w ready echo
        3ms c request echo 1
          > u request #1 1
        3ms c request echo 2
          > v request #2 2
        4ms v final #2 2
          > c final 2
        5ms u final #1 1
          > c final 1
        6ms c request echo 3
          > w request #3 3
        6ms c request echo 4
          > v request #4 4
        6ms c request echo 5
          > u request #5 5
        ",
    );
}

#[test]
fn a_worker_has_one_request_at_a_time() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        1ms c request echo 2
        2ms w final #1 1
          > c final 1
          > w request #2 2
        ",
    );
}

#[test]
fn a_worker_has_as_many_requests_as_it_takes() {
    check(
        "
        0ms client c
        0ms worker w concurrency=2
        0ms w ready echo
        0ms worker v
        0ms v ready echo
        1ms c request echo 1
          > w request #1 1
        1ms c request echo 2
          > v request #2 2
        1ms c request echo 3
          > w request #3 3
        1ms c request echo 4
        2ms w final #3 3
          > c final 3
          > w request #4 4
        ",
    );
}

#[test]
fn partial_replies_pass_in_order() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready list
        1ms c request list all
          > w request #1 all
        2ms w partial #1 a
          > c partial a
        3ms w partial #1 b|c
          > c partial b|c
        4ms w final #1
          > c final
        = replied 1
        ",
    );
}

#[test]
fn a_client_without_partial_replies_gets_all_frames_at_the_end() {
    check(
        "
        0ms client c noparts
        0ms worker w
        0ms w ready list
        1ms c request list
          > w request #1
        2ms w partial #1 a
        3ms w partial #1 b|c
        4ms w final #1 d
          > c final a|b|c|d
        = replied 1
        ",
    );
}

#[test]
fn replies_that_are_collected_are_bounded() {
    check_with(
        |config| config.limits.reply_bytes_max = 140,
        "
        0ms client c noparts told
        0ms worker w
        0ms w ready list
        1ms c request list
          > w request #1
        2ms w partial #1 abc
        3ms w partial #1 de
          > c failed failed
        4ms w final #1 f
        4ms c request list
          > w request #2
        5ms w partial #2 abc
        6ms w final #2 de
          > c failed failed
        = failed 2, late 1
        ",
    );
}

#[test]
fn parts_without_bytes_are_bounded_too() {
    let mut script = alloc::string::String::from(
        "
        0ms client c noparts told
        0ms worker w
        0ms w ready list
        0ms c request list
          > w request #1
        ",
    );
    for _ in 0..7 {
        script.push_str("1ms w partial #1\n");
    }
    script.push_str("= bytes 1152\n 2ms w partial #1\n > c failed failed\n = bytes 0, failed 1");
    check_with(|config| config.limits.reply_bytes_max = 1_000, &script);
}

#[test]
fn parts_that_are_kept_count_for_all_requests() {
    check_with(
        |config| config.limits.request_bytes_max = 1_000,
        "
        0ms client c noparts told
        0ms worker w
        0ms w ready list
        0ms worker v
        0ms v ready list
        0ms c request list
          > w request #1
        0ms c request list
          > v request #2
        1ms w partial #1 abc
        2ms v partial #2 def
        = bytes 790
        3ms w partial #1 ghi
        4ms v partial #2 jkl
          > c failed failed
        5ms v gone
        6ms w gone
        = bytes 256, redelivered 1
        ",
    );
}

#[test]
fn services_do_not_mix() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready a
        0ms worker v
        0ms v ready b
        1ms c request b 1
          > v request #1 1
        1ms c request b 2
        1ms c request a 3
          > w request #2 3
        2ms w final #2 3
          > c final 3
        ",
    );
}

#[test]
fn mmi_tells_which_services_there_are() {
    check(
        "
        0ms client c
        0ms c request mmi.service echo
          > c final 404
        1ms worker w
        1ms w ready echo
        2ms c request mmi.service echo
          > c final 200
        2ms c request mmi.service
          > c final 404
        2ms c request mmi.workers echo
          > c final 501
        2ms c request mmi. echo
          > c final 501
        3ms w disconnect
        3ms c request mmi.service echo
          > c final 404
        = received 6, replied 6
        ",
    );
}

#[test]
fn names_that_only_look_like_mmi_are_ordinary() {
    check(
        "
        0ms client c
        0ms worker m
        0ms m ready mirror
        0ms worker x
        0ms x ready .x
        0ms worker y
        0ms y ready a.mmi.b
        1ms c request mirror 1
          > m request #1 1
        1ms c request .x 2
          > x request #2 2
        1ms c request a.mmi.b 3
          > y request #3 3
        ",
    );
}

#[test]
fn a_worker_that_leaves_and_comes_back_is_served_again() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        1ms w disconnect
        2ms c request echo 1
        3ms w ready echo
          > w request #1 1
        ",
    );
}
