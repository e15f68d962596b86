//! Tests of workers with several services.

use super::{Balance, check, check_with};

#[test]
fn one_worker_serves_several_names() {
    check(
        "0ms worker w several
         0ms w ready one
         0ms w ready two
         0ms w ready two
         0ms client c
         0ms client d
         1ms c request two hi
         > w request #1 hi
         1ms d request one ho
         2ms w final #1 done
         > c final done
         > w request #2 ho
         = services 2, unoffered 0",
    );
}

#[test]
fn the_longest_waiting_request_of_all_its_services_comes_first() {
    check(
        "0ms client c
         0ms client d
         0ms client e
         1ms c request two first
         2ms d request one second
         3ms e request two third
         4ms worker w several
         4ms w ready one
         > w request #1 second
         5ms w ready two
         6ms w final #1 done
         > d final done
         > w request #2 first
         7ms d request one fourth
         8ms w final #2 done
         > c final done
         > w request #3 third
         9ms w final #3 done
         > e final done
         > w request #4 fourth",
    );
}

#[test]
fn a_busy_worker_is_free_for_none_of_its_services() {
    check(
        "0ms worker w several
         0ms w ready one
         0ms w ready two
         0ms worker v
         0ms v ready two
         0ms client c
         0ms client d
         0ms client e
         1ms c request one 1
         > w request #1 1
         2ms d request two 2
         > v request #2 2
         3ms e request two 3
         4ms w final #1 done
         > c final done
         > w request #3 3",
    );
}

#[test]
fn withdrawn_services_get_no_more() {
    check(
        "0ms worker w several
         0ms w ready one
         0ms w ready two
         0ms client c
         0ms client d
         1ms c request one 1
         > w request #1 1
         2ms w withdraw one
         3ms w final #1 done
         > c final done
         4ms c request one 2
         5ms d request two 3
         > w request #2 3
         6ms w withdraw
         7ms w final #2 done
         > d final done
         8ms d request two 4
         9ms w heartbeat
         10ms w ready two
         > w request #3 4
         = unoffered 1",
    );
}

#[test]
fn what_asks_for_a_worker_ends_with_the_service_that_it_withdraws() {
    check(
        "0ms worker w several id=me
         0ms w ready one
         0ms w ready two
         0ms client c told
         1ms c request one 1 target=me
         > w request #1 1
         2ms c request one 2 target=me
         3ms c request two 3 target=me
         4ms w withdraw one
         > c failed no_such_worker
         5ms w final #1 done
         > c final done
         > w request #2 3",
    );
}

#[test]
fn withdraw_of_what_is_not_offered_is_nothing() {
    check(
        "0ms worker w several
         0ms w withdraw
         0ms w ready one
         0ms w withdraw two
         0ms w withdraw
         0ms w withdraw
         0ms worker plain
         0ms plain ready one
         0ms plain withdraw one
         > plain disconnect
         = malformed 1, services 0",
    );
}

#[test]
fn all_services_go_with_the_worker() {
    check(
        "0ms worker w several
         0ms w ready one
         0ms w ready two
         0ms w ready st*
         0ms client c
         1ms c request stock hi
         > w request #1 hi
         2ms w gone
         = unoffered 1, services 1, in progress 1",
    );
}

#[test]
fn a_worker_with_two_versions_rejects_once() {
    check(
        "0ms worker w several rejects
         0ms w ready api@1.0.0
         0ms w ready api@1.1.0
         0ms client c told
         1ms c request api@^1.0 hi
         > w request #1 hi
         2ms w reject #1 no
         1002ms tick
         1010ms tick
         > c failed rejected no
         = rejected 1",
    );
}

#[test]
fn load_counts_all_that_a_worker_has() {
    check_with(
        |config| config.balance = Balance::LeastLoaded,
        "0ms worker w several concurrency=5
         0ms w ready one
         0ms w ready two
         0ms worker v concurrency=5
         0ms v ready two
         0ms client c
         0ms client d
         0ms client e
         1ms c request one 1
         > w request #1 1
         2ms d request two 2
         > v request #2 2
         3ms e request two 3
         > w request #3 3",
    );
}

#[test]
fn what_is_rejected_by_who_has_withdrawn_ends_as_rejected() {
    check_with(
        |config| config.no_worker_wait = Some(core::time::Duration::from_millis(10)),
        "0ms worker w several rejects
         0ms w ready one
         0ms client c told
         1ms c request one hi timeout=60000
         > w request #1 hi
         2ms w withdraw
         3ms w reject #1 no
         1003ms tick
         1010ms tick
         > c failed rejected no
         = rejected 1",
    );
}

#[test]
fn nobody_hopes_for_the_other_services_of_a_worker_that_is_lost() {
    check_with(
        |config| config.wait_timeout = core::time::Duration::from_millis(500),
        "0ms worker w several rejects
         0ms w ready api@1.2.0
         0ms w ready api@2.0.0
         0ms client c told
         1ms c request api@* hi
         > w request #1 hi
         2ms w reject #1 no
         502ms w gone
         > c failed rejected no
         = rejected 1",
    );
}
