//! The agent and its command line.
