//! Tests of two connections with the same identity: no reply ever goes to the wrong one.

use super::{check, check_with};

#[test]
fn the_second_is_refused_while_the_first_lives() {
    check(
        "
        show probes
        0ms worker w id=x probes
          > w probe
        0ms w ready echo
        0ms client c id=y
        1s worker v id=x probes
          > w probe
          > v pause
        1001ms w pong
          > v close identity_in_use
        1002ms c request echo 1
          > w request #1 1
        1003ms w final #1 one
          > c final one
        ",
    );
}

#[test]
fn the_second_takes_over_when_the_first_shows_no_life() {
    check(
        "
        0ms worker w id=x probes
        0ms w ready echo
        0ms client c
        1ms c request echo 1
          > w request #1 1
        1s worker v id=x
          > v pause
        3490ms tick
        3502ms tick
          > w close identity_taken
          > v resume
        3503ms v ready echo
          > v request #2 1
        3504ms v final #2 one
          > c final one
        ",
    );
}

#[test]
fn the_second_takes_over_at_once_when_the_first_goes() {
    check(
        "
        0ms client c id=x
        1s client d id=x
          > d pause
        1100ms c gone
          > d resume
        1200ms client e id=x
          > e pause
        1300ms d bytes
          > e close identity_in_use
        ",
    );
}

#[test]
fn the_second_is_refused_while_the_first_is_not_read_from() {
    // A paused client cannot show liveness.
    check(
        "
        0ms client c id=x
        0ms c filled
          > c pause
        1s client d id=x
          > d pause
        3502ms tick
          > d close identity_in_use
        ",
    );
}

#[test]
fn the_first_has_its_time_from_when_it_is_read_from_again() {
    check_with(
        |config| config.limits.client_requests_max = 1,
        "
        0ms client c id=x probes
        0ms c request echo 1 timeout=3000
        0ms c request echo 2
          > c pause
        600ms client d id=x
          > d pause
        3002ms tick
          > c resume
        5400ms tick
        5410ms c pong
          > d close identity_in_use
        ",
    );
}

#[test]
fn a_third_is_refused_while_two_dispute() {
    check(
        "
        0ms client c id=x
        1s client d id=x
          > d pause
        1s client e id=x
          > e close identity_in_use
        1100ms d gone
        1200ms client f id=x
          > f pause
        1300ms c bytes
          > f close identity_in_use
        ",
    );
}

#[test]
fn replies_of_the_first_do_not_go_to_the_second() {
    check(
        "
        0ms worker w
        0ms w ready echo
        0ms client c id=x
        1ms c request echo 1
          > w request #1 1
        1s client d id=x
          > d pause
        4s w final #1 one
          > c close identity_taken
          > d resume
        = client_gone 1, late 1
        ",
    );
}
