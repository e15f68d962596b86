//! Tests of request properties: priority, deadline, attempts, credit, notices, status codes.

use super::{check, check_with, shared};

#[test]
fn the_highest_priority_goes_first_then_who_waits_longest() {
    check(
        "0ms client a
         0ms client b
         0ms client c
         0ms client d
         1ms a request echo low priority=0
         2ms b request echo first
         3ms c request echo high priority=9
         4ms d request echo second priority=4
         5ms worker w concurrency=any
         5ms w ready echo
         > w request #1 high
         > w request #2 first
         > w request #3 second
         > w request #4 low",
    );
}

#[test]
fn a_lost_request_goes_before_those_of_its_priority() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client a
         0ms client b
         0ms client c
         1ms a request echo one
         > w request #1 one
         2ms b request echo two
         3ms c request echo three priority=5
         4ms worker v
         4ms w gone
         5ms v ready echo
         > v request #2 three
         6ms v final #2 done
         > c final done
         > v request #3 one",
    );
}

#[test]
fn nobody_shares_the_answer_to_one_that_comes_later_than_it_would() {
    check_with(
        shared,
        "0ms client a
         0ms client b
         0ms client c
         1ms a request echo hi priority=1
         2ms b request echo hi priority=8
         3ms c request echo hi priority=8
         4ms worker w
         4ms w ready echo
         > w request #1 hi
         5ms w final #1 ho
         > c final ho
         > b final ho
         > w request #2 hi
         = shared 1",
    );
}

#[test]
fn a_worker_sees_what_a_request_asks_for() {
    check(
        "show tasks
         0ms worker w concurrency=any credit
         0ms client c
         0ms client d
         0ms client e
         1ms c request echo hi timeout=5000 priority=7 credit=3
         1001ms w ready echo
         > w request #1 hi deadline=4000 attempt=1 priority=7 credit=3
         1001ms d request echo hi
         > w request #2 hi deadline=900000 attempt=1 priority=4 credit=any
         1001ms e request echo hi timeout=never
         > w request #3 hi deadline=900000 attempt=1 priority=4 credit=any",
    );
}

#[test]
fn credit_is_passed_on_and_counts_from_the_beginning_for_another_worker() {
    check(
        "show tasks
         0ms worker w credit
         0ms w ready echo
         0ms client c
         1ms c request echo hi id=1 credit=2 timeout=60000
         > w request #1 hi deadline=60000 attempt=1 priority=4 credit=2
         1ms c more 1 5
         > w more #1 5
         1ms c more nope 5
         2ms w gone
         2ms c more 1 1
         3ms worker v credit
         3ms v ready echo
         > v request #2 hi deadline=59999 attempt=2 priority=4 credit=8
         4ms c more 1 4294967295
         > v more #2 4294967295
         5ms c more 1 1",
    );
}

#[test]
fn credit_stays_with_us_where_the_worker_does_not_count() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client c
         1ms c request echo hi id=1 credit=2
         > w request #1 hi
         1ms c more 1 5",
    );
}

#[test]
fn who_shares_an_answer_holds_up_nobody_by_credit() {
    check_with(
        shared,
        "show tasks
         0ms worker w credit
         0ms w ready echo
         0ms client c
         0ms client d
         1ms c request echo hi id=1 credit=2
         > w request #1 hi deadline=900000 attempt=1 priority=4 credit=any
         1ms d request echo hi id=1 credit=1
         2ms d more 1 1
         2ms c more 1 1",
    );
}

#[test]
fn notices_say_how_far_it_has_come() {
    check(
        "0ms client c
         1ms c request echo hi id=1 notices
         > c notice 1 Queued
         1ms c request echo ho id=2
         2ms worker w concurrency=any
         2ms w ready echo
         > w request #1 hi
         > c notice 1 Dispatched
         > w request #2 ho
         3ms w atwork #1
         > c notice 1 AtWork
         3ms w atwork #2
         4ms worker v
         4ms v ready echo
         4ms w gone
         > v request #3 hi
         > c notice 1 Redelivered
         5ms v final #3 done
         > c final done
         > v request #4 ho
         6ms v atwork #3",
    );
}

#[test]
fn who_does_not_read_shares_nothing_and_hears_that_it_waits() {
    check_with(
        shared,
        "0ms worker w
         0ms w ready echo
         0ms client c
         0ms client d
         1ms d request echo hi id=1
         > w request #1 hi
         2ms c filled
         > c pause
         3ms c request echo hi id=2 notices
         > c notice 2 Queued
         4ms w final #1 done
         > d final done
         5ms c drained
         > c resume
         > w request #2 hi
         > c notice 2 Dispatched",
    );
}

#[test]
fn who_shares_an_answer_hears_of_it_too() {
    check_with(
        shared,
        "0ms client c
         0ms client d
         0ms client e
         1ms c request echo hi id=1
         1ms d request echo hi id=2 notices
         > d notice 2 Queued
         2ms worker w
         2ms w ready echo
         > w request #1 hi
         > d notice 2 Dispatched
         3ms w atwork #1
         > d notice 2 AtWork
         4ms e request echo hi id=3 notices
         > e notice 3 Dispatched
         5ms w final #1 ho
         > d final ho
         > e final ho
         > c final ho",
    );
}

#[test]
fn a_forged_sign_of_work_is_a_violation() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms w atwork abcd
         > w disconnect
         = forged_reply 1",
    );
}

#[test]
fn a_workers_code_reaches_its_client() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client c told
         1ms c request echo hi
         > w request #1 hi
         2ms w failed #1 no|why code=507
         > c failed failed no|why code=507",
    );
}

#[test]
fn a_sign_of_work_of_a_worker_that_was_sent_away_is_late() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client c
         1ms c request echo hi
         > w request #1 hi
         2ms w ready echo
         > w disconnect
         3ms w atwork #1
         = not_ready 0",
    );
}

#[test]
fn of_several_equal_ones_the_answer_is_shared_that_comes_first() {
    check_with(
        shared,
        "0ms client a
         0ms client b
         0ms client c
         0ms client d
         0ms client e
         0ms worker w
         0ms w ready echo
         1ms a request echo hi priority=1
         > w request #1 hi
         2ms w partial #1 ho
         > a partial ho
         3ms b request echo hi priority=1
         4ms c request echo hi priority=8
         5ms d request echo hi priority=1
         6ms w final #1 ho
         > a final ho
         > w request #2 hi
         7ms e request echo hi priority=9
         8ms w final #2 ho
         > d final ho
         > e final ho
         > c final ho
         > w request #3 hi",
    );
}

#[test]
fn a_worker_that_was_told_of_no_limit_hears_of_no_more_credit() {
    check_with(
        shared,
        "0ms worker w credit
         0ms w ready echo
         0ms client c
         1ms c request echo hi id=1 credit=2
         > w request #1 hi
         2ms w partial #1 ho
         > c partial ho
         3ms c more 1 1",
    );
}

#[test]
fn who_takes_the_place_of_one_that_gave_up_holds_up_nobody_that_is_more_urgent() {
    check_with(
        shared,
        "0ms client a
         0ms client b
         0ms client c
         0ms client d
         1ms a request echo hi id=1 priority=9
         2ms b request echo hi priority=0
         3ms c request echo hi priority=7
         4ms d request echo ho priority=5
         5ms a cancel 1
         6ms worker w
         6ms w ready echo
         > w request #1 hi
         7ms w final #1 done
         > b final done
         > c final done
         > w request #2 ho",
    );
}

#[test]
fn the_most_urgent_of_those_that_are_left_leads_the_others() {
    check_with(
        shared,
        "0ms client a
         0ms client b
         0ms client c
         0ms worker w concurrency=any
         0ms w ready echo
         1ms a request echo hi id=1
         > w request #1 hi
         2ms b request echo hi priority=0
         3ms c request echo hi priority=8
         4ms w heartbeat concurrency=0
         5ms a cancel 1
         6ms w heartbeat concurrency=2
         > w request #2 hi
         7ms w final #2 ho
         > b final ho
         > c final ho",
    );
}
