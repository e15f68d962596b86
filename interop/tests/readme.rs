//! The Python examples of the README work as they are, except for the port.

use majordomus_interop::{Broker, Python};

/// Returns the Python programs of the README, in order.
fn programs(endpoint: &str) -> Vec<String> {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```python\n").skip(1);
    let program = |block: &str| block.split("```").next().expect("a block").to_string();
    blocks.map(|block| program(block).replace("tcp://127.0.0.1:5555", endpoint)).collect()
}

#[test]
fn its_clients_are_served_by_its_workers() {
    let Some(python) = Python::ready() else { return };
    for worker in [0, 3] {
        let broker = Broker::start(&[]);
        let programs = programs(broker.endpoint());
        assert_eq!(programs.len(), 4, "two clients and two workers");
        let _worker = python.code(&programs[worker]);
        for client in [1, 2] {
            let client = python.code(&programs[client]).finish();
            assert_eq!(client.stdout, "[b'hello']\n", "{}", client.stderr);
        }
    }
}
