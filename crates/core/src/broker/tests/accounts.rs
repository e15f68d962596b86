//! Tests of the statistics of each service.

use super::{check, check_with};

#[test]
fn each_service_has_its_own() {
    check(
        "0ms worker w several
         0ms w ready one
         0ms w ready two
         0ms client c told
         1ms c request one hi
         > w request #1 hi
         2ms w final #1 ho
         > c final ho
         3ms c request two hi
         > w request #2 hi
         4ms w failed #2 oh
         > c failed failed oh
         = one/replied 1, one/failed 0, two/failed 1, accounts 2",
    );
}

#[test]
fn what_is_refused_has_its_reason() {
    check_with(
        |config| {
            config.limits.client_requests_max = 2;
            config.limits.service_requests_max = 3;
            config.limits.requests_max = 4;
            config.limits.names_max = 1;
        },
        "
        0ms worker w
        0ms w ready echo
        0ms client c told
        0ms client d told
        0ms client e told
        1ms c request echo 1
          > w request #1 1
        1ms c request echo 2
        1ms c request echo 3
          > c failed refused
        1ms d request echo 4
        1ms d request echo 5
          > d failed refused
        1ms d request nobody 6
        1ms e request unheard 7
          > e failed refused
        = echo/client_limit 1, echo/service_limit 1, others/names_limit 1, refused 3
        1ms e request nobody 8
          > e failed refused
        = others/broker_limit 1, others/names_limit 1, refused 4
        ",
    );
}

#[test]
fn an_id_in_use_is_a_reason_of_its_own() {
    check(
        "0ms client c greets told
         0ms c hello
         > c welcome
         1ms c request echo hi id=1
         1ms c request echo ho id=1
         > c failed refused code=400
         = others/id_in_use 1, others/refused 1",
    );
}

#[test]
fn what_a_wildcard_serves_is_in_its_account() {
    check(
        "0ms worker w
         0ms w ready stock.*
         0ms client c
         1ms c request stock.a hi
         > w request #1 hi
         2ms w final #1 ho
         > c final ho
         3ms c request stock.b hi
         > w request #2 hi
         4ms w final #2 ho
         > c final ho
         = stock.*/replied 2, accounts 1, services 1",
    );
}

#[test]
fn an_account_outlives_its_workers() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client c told
         1ms c request echo hi
         > w request #1 hi
         2ms w final #1 ho
         > c final ho
         3ms w gone
         = services 0, echo/replied 1
         4ms c request echo hi timeout=10
         20ms tick
         > c failed no_such_service
         = services 0, echo/replied 1, echo/no_such_service 1, others/no_such_service 0",
    );
}

#[test]
fn the_account_longest_out_of_use_makes_room() {
    check_with(
        |config| config.limits.accounts_max = 2,
        "
        0ms client c told
        0ms worker w several
        0ms w ready one
        1ms c request one hi
          > w request #1 hi
        2ms w final #1 ho
          > c final ho
        2ms w ready two
        2ms w ready three
        3ms c request three hi
          > w request #2 hi
        4ms w final #2 ho
          > c final ho
        = one/replied 1, two/replied 0, others/replied 1, accounts 2
        5ms w withdraw one
        5ms w withdraw three
        5ms w ready three
        = others/replied 2, three/replied 0, two/replied 0, accounts 2
        ",
    );
}

#[test]
fn names_that_nobody_offers_have_none() {
    check(
        "0ms client c told
         1ms c request a hi timeout=10
         1ms c request b hi timeout=10
         20ms tick
         > c failed no_such_service
         > c failed no_such_service
         = others/no_such_service 2, accounts 0",
    );
}

#[test]
fn what_the_broker_answers_is_its_own() {
    check(
        "0ms client c
         1ms c request mmi.service echo
         > c final 404
         1ms c request $dir echo
         > c final []
         1ms c request mmi.nothing echo
         > c final 501
         = own/replied 3, accounts 0
         2ms worker w
         2ms w ready $dir
         3ms c request $dir echo
         > w request #1 echo
         4ms w final #1 hi
         > c final hi
         = own/replied 3, $dir/replied 1, accounts 1",
    );
}
