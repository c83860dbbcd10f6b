//! The built binary under real clients.
