//! Tests of JSON and MessagePack bodies: round trips, and errors for invalid bodies.

use std::collections::HashMap;
use std::fmt::Debug;

use majordomus::{Body, BodyError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    item: String,
    count: u32,
    #[serde(default)]
    note: Option<String>,
}

fn order() -> Order {
    Order { item: "thé".into(), count: 2, note: None }
}

fn check_there_and_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = Body::from_json(value).expect("JSON can say it");
    assert_eq!(json.frames().len(), 1);
    assert_eq!(&json.json::<T>().expect("it was written so"), value);
    let msgpack = Body::from_msgpack(value).expect("MessagePack can say it");
    assert_eq!(msgpack.frames().len(), 1);
    assert_eq!(&msgpack.msgpack::<T>().expect("it was written so"), value);
}

#[test]
fn values_there_and_back() {
    check_there_and_back(&order());
    check_there_and_back(&());
    check_there_and_back(&vec![Some(1.5), None]);
    check_there_and_back(&HashMap::from([(String::from("a"), u64::MAX)]));
    check_there_and_back(&String::new());
}

#[test]
fn the_fields_of_a_struct_go_by_name_and_are_read_by_order_too() {
    let by_name = Body::from_msgpack(&order()).expect("MessagePack can say it");
    assert!(by_name.text().contains("item"));
    let by_order = Body::from_msgpack(&("thé", 2, None::<String>)).expect("it can say it");
    assert_eq!(by_order.msgpack::<Order>().expect("by order"), order());
}

#[test]
fn headers_do_not_matter() {
    let body = Body::from("1").with_header("lang", "en").expect("a header");
    assert_eq!(body.json::<u8>().expect("JSON"), 1);
}

#[test]
fn a_body_without_frames_or_with_several_is_no_value() {
    let none = [Body::empty().json::<()>(), Body::empty().msgpack::<()>()];
    assert!(none.iter().all(|none| matches!(none, Err(BodyError::NoFrame))), "{none:?}");
    let several = Body::from_frames(["1", "2", "3"]);
    let several = [several.json::<u8>(), several.msgpack::<u8>()];
    assert!(several.iter().all(|all| matches!(all, Err(BodyError::SeveralFrames(3)))));
    let said = several[0].as_ref().expect_err("it is none").to_string();
    assert_eq!(said, "the body has 3 frames, where a value is one frame");
}

#[track_caller]
fn check_says<T: Debug>(read: Result<T, BodyError>, expected: &str) {
    let said = read.expect_err("it is none").to_string();
    assert!(said.contains(expected), "{said}");
}

#[test]
fn an_error_says_what_happened() {
    let (json, msgpack) = ("not the JSON that was", "not the MessagePack that was");
    // A frame without bytes.
    check_says(Body::from("").json::<()>(), json);
    check_says(Body::from("").msgpack::<()>(), msgpack);
    // A value of another type.
    check_says(Body::from("{\"item\": \"tea\"}").json::<Order>(), "missing field `count`");
    check_says(Body::from(&b"\xa1a"[..]).msgpack::<u8>(), msgpack);
    // More than one value.
    check_says(Body::from("1 2").json::<u8>(), "trailing characters");
    check_says(Body::from(&b"\x01\x02\x03"[..]).msgpack::<u8>(), "has 2 bytes behind");
    // Values that cannot be encoded.
    let by_pair = HashMap::from([((1, 2), 3)]);
    check_says(Body::from_json(&by_pair), "cannot be written as JSON: key must be a string");
    #[derive(Serialize)]
    struct Failing(#[serde(serialize_with = "fail")] ());
    check_says(Body::from_msgpack(&Failing(())), "cannot be written as MessagePack: no");
}

fn fail<S: serde::Serializer>(_: &(), _: S) -> Result<S::Ok, S::Error> {
    Err(serde::ser::Error::custom("no"))
}
