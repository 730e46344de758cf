//! The auditor itself: whatever one record in any store is tampered with, it
//! is named, and nothing else.

mod pages;
mod plain;
mod queues;
mod retention;
mod rows;
mod scope;
mod todos;
mod users;
mod workflows;
