//! What an attacker sends: requests that are none, operators instead of
//! strings, and ten thousand bodies of any kind.

mod operators;
mod random;
mod smuggling;
