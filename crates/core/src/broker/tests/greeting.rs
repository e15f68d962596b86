//! Tests of peers whose dialect has a handshake.

use super::{Config, Output, Stage, ToWorker, check, check_with};

#[test]
fn who_greets_is_welcomed_and_heard() {
    check(
        "show registered
         0ms client c greets told
         0ms c hello
         > c welcome
         0ms worker w greets several
         0ms w hello
         > w welcome
         0ms w ready echo
         > w registered echo as p1.7
         1ms c request echo hi id=1
         > w request #1 hi
         2ms w final #1 ho
         > c final ho",
    );
}

#[test]
fn who_has_not_greeted_is_not_heard() {
    check(
        "0ms client c greets told
         0ms c request echo hi id=1
         0ms worker w greets
         0ms w ready echo
         0ms w heartbeat
         0ms c malformed
         = not_ready 3, malformed 1, received 0, services 0",
    );
}

#[test]
fn a_second_hello_ends_it_and_a_third_begins_anew() {
    check(
        "show reasons
         0ms worker w greets cancels
         0ms w hello
         > w welcome
         0ms w ready echo
         0ms client c greets told=most
         0ms c hello
         > c welcome
         1ms c request echo hi id=1
         > w request #1 hi
         2ms c hello
         > c disconnect Malformed
         > w cancel #1 client_gone
         3ms c request echo hi id=2
         4ms c hello
         > c welcome
         5ms c request echo hi id=2
         6ms w hello
         > w disconnect Malformed
         7ms w ready echo
         8ms w hello
         > w welcome
         9ms w ready echo
         > w request #2 hi
         = malformed 2, not_ready 2, client_gone 1, received 2",
    );
}

#[test]
fn goodbye_of_a_client_ends_its_requests() {
    check(
        "0ms worker w cancels
         0ms w ready echo
         0ms client c greets told=most
         0ms c hello
         > c welcome
         1ms c request echo hi id=1
         > w request #1 hi
         1ms c request echo hi id=2
         2ms c bye
         > w cancel #1
         3ms c request echo hi id=3
         = client_gone 2, received 2, not_ready 1",
    );
}

#[test]
fn an_id_that_is_in_progress_is_refused_and_the_first_goes_on() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client c greets told
         0ms c hello
         > c welcome
         1ms c request echo one id=1
         > w request #1 one
         2ms c request echo two id=1
         > c failed refused code=400
         3ms w final #1 ho
         > c final ho
         4ms c request echo two id=1
         > w request #2 two",
    );
}

/// Requests that the broker answers itself are checked for duplicate ids too.
#[test]
fn an_id_that_is_in_progress_is_refused_whatever_is_asked_for() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client c greets told
         0ms c hello
         > c welcome
         1ms c request echo one id=1
         > w request #1 one
         2ms w final #1 kept keep=1000
         > c final kept
         3ms c request echo two id=1
         > w request #2 two
         4ms c request echo one id=1
         > c failed refused code=400
         4ms c request mmi.service echo id=1
         > c failed refused code=400
         4ms c request $dir echo id=1
         > c failed refused code=400
         5ms c request mmi.service echo id=2
         > c final 200
         6ms w final #2 ho
         > c final ho",
    );
}

/// The worker may have sent the notice before it received the disconnect.
#[test]
fn an_old_sign_of_work_is_late_and_no_violation() {
    check(
        "0ms worker w greets
         0ms w hello
         > w welcome
         0ms w ready echo
         0ms client c
         1ms c request echo one
         > w request #1 one
         2ms w malformed
         > w disconnect
         3ms w hello
         > w welcome
         3ms w atwork #1
         3ms w partial #1 p
         4ms w atwork nonsense
         > w disconnect
         = late 2, not_ready 1, malformed 1",
    );
}

#[test]
fn capacity_may_come_before_ready() {
    check(
        "0ms worker w greets several
         0ms w hello
         > w welcome
         0ms w heartbeat concurrency=2
         > w takes AtMost(2)
         0ms w ready echo
         0ms client c
         0ms client d
         1ms c request echo one
         > w request #1 one
         1ms d request echo two
         > w request #2 two",
    );
}

/// This tells a draining worker when no further request can arrive.
#[test]
fn nothing_comes_behind_the_word_that_a_capacity_counts() {
    check(
        "0ms worker w greets
         0ms w hello
         > w welcome
         0ms w ready echo
         0ms client c
         0ms client d
         1ms c request echo one
         > w request #1 one
         1ms w heartbeat concurrency=0
         > w takes AtMost(0)
         2ms w final #1 done
         > c final done
         3ms d request echo two
         4ms w heartbeat concurrency=any
         > w request #2 two
         > w takes Unlimited",
    );
}

#[test]
fn a_worker_is_lost_by_its_own_pace() {
    check(
        "show reasons
         0ms worker slow greets
         0ms slow hello pace=5000
         > slow welcome
         0ms slow ready echo
         0ms worker quick greets
         0ms quick hello pace=100
         > quick welcome
         0ms quick ready echo
         0ms worker mute greets
         0ms mute hello pace=never
         > mute welcome
         0ms mute ready echo
         310ms tick
         > quick disconnect Silent
         14900ms tick
         15010ms tick
         > slow disconnect Silent
         100000ms tick",
    );
}

#[test]
fn the_end_is_told_to_who_greets() {
    check(
        "show reasons
         0ms client c greets told
         0ms c hello
         > c welcome
         0ms client d
         0ms worker w greets
         0ms w hello
         > w welcome
         0ms w ready echo
         1ms c request other hi id=1
         2ms shutdown
         > c failed shut_down
         > c disconnect ShutDown
         > w disconnect ShutDown",
    );
}

#[test]
fn an_identity_in_use_is_said() {
    check(
        "show reasons
         0ms worker w probes id=me
         0ms worker x greets id=me
         > x pause
         1ms w pong
         > x disconnect IdentityInUse
         > x close identity_in_use",
    );
}

#[test]
fn nobody_gets_a_body_larger_than_it_takes() {
    check(
        "0ms worker small greets rejects
         0ms small hello max=388
         > small welcome
         0ms small ready echo
         0ms client c greets told
         0ms c hello max=387
         > c welcome
         1ms c request echo 12345 id=1
         > c failed untranslatable
         2ms c request echo 1234 id=2
         > small request #1 1234
         3ms small final #1 4321
         > c failed untranslatable
         4ms c request echo 12 id=3
         > small request #2 12
         5ms small final #2 321
         > c final 321
         = untranslatable 2, replied 1",
    );
}

#[test]
fn a_worker_offers_no_more_than_it_may() {
    check_with(
        |config| config.limits.worker_services_max = 2,
        "show reasons
         0ms worker w greets several
         0ms w hello
         > w welcome
         0ms w ready a
         0ms w ready b
         0ms w ready b
         0ms w ready c
         > w disconnect Full
         = too_many_services 1, services 0",
    );
}

#[test]
fn the_end_is_told_to_a_worker_that_offers_nothing() {
    check(
        "show reasons
         0ms worker w greets
         0ms w hello
         > w welcome
         1ms shutdown
         > w disconnect ShutDown",
    );
}

#[test]
fn a_worker_that_comes_when_all_is_over_is_sent_away_once() {
    check(
        "show reasons
         0ms worker w greets
         1ms shutdown
         2ms w hello
         > w welcome
         2ms w ready echo
         > w disconnect ShutDown
         3ms w ready echo
         = not_ready 1",
    );
}

#[test]
fn an_id_in_progress_is_refused_even_where_the_broker_has_the_answer() {
    check(
        "0ms worker w
         0ms w ready echo
         0ms client c greets told
         0ms c hello
         > c welcome
         1ms c request echo one id=1
         > w request #1 one
         2ms c request mmi.service echo id=1
         > c failed refused code=400
         2ms c request $dir echo id=1
         > c failed refused code=400
         3ms w final #1 ho keep=1000
         > c final ho
         4ms c request echo two id=1
         > w request #2 two
         5ms c request echo one id=1
         > c failed refused code=400",
    );
}

#[test]
fn an_answer_of_ours_is_no_larger_than_its_client_takes() {
    check(
        "0ms client c greets told
         0ms c hello max=2
         > c welcome
         1ms c request mmi.service echo id=1
         > c failed untranslatable",
    );
}

/// Regression test: the default broker info had a limit of 0 frames, so peers sent nothing to the
/// broker.
#[test]
fn a_broker_that_nobody_introduced_takes_messages() {
    let mut stage = Stage::new(Config::default());
    stage.act("0ms worker w greets");
    let hello = stage.hello(stage.names["w"], &[]);
    match stage.outputs(&hello).first() {
        Some(Output::ToWorker { command: ToWorker::Welcome(welcome), .. }) => {
            assert!(welcome.takes(1 << 30, 1_000));
        }
        other => panic!("no welcome: {other:?}"),
    }
}
