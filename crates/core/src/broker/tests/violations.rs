//! Tests of protocol violations: the worker is disconnected, and nothing reaches a client.

use super::check;

#[test]
fn anything_before_ready() {
    check(
        "
        0ms worker w
        0ms w heartbeat
          > w disconnect
        1ms w final x hello
          > w disconnect
        2ms w partial x hello
          > w disconnect
        3ms w disconnect
        4ms w ready echo
        = not_ready 3
        ",
    );
}

#[test]
fn ready_twice() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        2ms w ready echo
          > w disconnect
        3ms w final #1 1
        4ms w ready echo
          > w request #1 1
        5ms w final #1 one
          > c final one
        = ready_twice 1, late 1, redelivered 1, replied 1
        ",
    );
}

#[test]
fn a_reply_to_a_request_that_the_worker_was_never_given() {
    check(
        "
        0ms client c
        0ms client d
        0ms worker w
        0ms w ready echo
        0ms worker v
        0ms v ready echo
        1ms c request echo 1
          > w request #1 1
        2ms v final #1 forged
          > v disconnect
        2ms worker u
        2ms u ready echo
        3ms u final 00000000000000000000000000000000 forged
          > u disconnect
        4ms w final #1 one
          > c final one
        = forged_reply 2, replied 1
        ",
    );
}

#[test]
fn a_reply_with_another_request_id() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        1ms c request echo 1 id=a
          > w request #1 1
        2ms w final #1 x id=b
          > w disconnect
        = forged_reply 1, redelivered 1
        ",
    );
}

#[test]
fn a_reply_that_comes_twice_is_late_and_no_violation() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        1ms c request echo 1
          > w request #1 1
        2ms w final #1 one
          > c final one
        3ms w final #1 two
        4ms w partial #1 three
        5ms c request echo 2
          > w request #2 2
        6ms w final #1 four
        7ms w final #2 five
          > c final five
        = late 3, replied 2, forged_reply 0
        ",
    );
}

#[test]
fn a_worker_that_claims_the_broker_s_names() {
    check(
        "
        0ms worker w
        0ms w ready mmi.service
          > w disconnect
        1ms w ready mmi.
          > w disconnect
        2ms w ready mmi
        = reserved_name 2
        ",
    );
}

#[test]
fn names_that_are_none() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready
          > w disconnect
        = bad_name 1
        ",
    );
    let long = "n".repeat(256);
    check(&alloc::format!(
        "
        0ms client c
        0ms worker w
        0ms w ready {long}
          > w disconnect
        0ms c request {long} x
        0ms w ready {}
        0ms c request {} x
          > w request #1 x
        = bad_name 2, received 1
        ",
        &long[1..],
        &long[1..],
    ));
}

#[test]
fn a_malformed_message_costs_a_worker_its_place_and_a_client_nothing() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        0ms worker v
        0ms v ready echo
        1ms c request echo 1
          > w request #1 1
        2ms c malformed
        3ms w malformed
          > w disconnect
          > v request #2 1
        4ms v final #2 one
          > c final one
        = malformed 2, replied 1
        ",
    );
}

#[test]
fn a_client_is_no_worker_and_a_worker_no_client() {
    check(
        "
        0ms client c
        0ms worker w
        0ms w ready echo
        1ms c ready echo
        2ms w request echo 1
          > w disconnect
        = malformed 2, received 0
        ",
    );
}

#[test]
fn replies_of_an_idle_worker_and_its_goodbye_harm_nobody() {
    check(
        "
        0ms worker w
        0ms w ready echo
        0ms client c
        1ms c request echo one
        > w request #1 one
        2ms w final #1 a
        > c final a
        3ms w final #1 b
        4ms w final #1 c
        5ms w disconnect
        6ms c request echo two
        7ms worker v
        7ms v ready echo
        > v request #2 two
        = late 2, forged_reply 0
        ",
    );
}

#[test]
fn two_clients_may_use_the_same_request_id() {
    check(
        "
        0ms worker w concurrency=2
        0ms w ready echo
        0ms client c
        0ms client d
        1ms c request echo of-c id=7
        > w request #1 of-c
        1ms d request echo of-d id=7
        > w request #2 of-d
        2ms w final #2 for-d id=7
        > d final for-d
        3ms w final #1 for-c id=7
        > c final for-c
        ",
    );
}

#[test]
fn a_worker_that_beats_slower_than_we_do_is_kept() {
    check(
        "
        0ms worker w
        0ms w ready echo
        2900ms w heartbeat
        5800ms w heartbeat
        8700ms w heartbeat
        8800ms client c
        8800ms c request echo hi
        > w request #1 hi
        ",
    );
}

#[test]
fn a_worker_that_names_requests_must_name_the_right_one() {
    check(
        "
        0ms worker w ids
        0ms w ready echo
        0ms client c told redelivery=never
        1ms c request echo hi id=r1
        > w request #1 hi
        2ms w final #1 ho
        > w disconnect
        > c failed worker_lost
        = forged_reply 1
        3ms w ready echo
        4ms c request echo hi id=r2
        > w request #2 hi
        5ms w final #2 ho id=r2
        > c final ho
        6ms client d
        6ms d request echo hi
        > w request #3 hi
        7ms w final #3 ho
        > d final ho
        ",
    );
}

#[test]
fn a_client_that_can_be_told_hears_that_a_name_cannot_be() {
    check(
        "
        0ms client c told
        1ms c request 
        > c failed no_such_service
        = received 1, no_such_service 1, bad_name 0
        ",
    );
}
