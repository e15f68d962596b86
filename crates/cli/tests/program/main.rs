//! The program as its users have it: called with arguments, seen by what it prints and how it ends.

mod bench;
mod broker;
mod demo;
mod documents;
mod exec;
mod process;
mod request;
mod settings;
mod tripping;
