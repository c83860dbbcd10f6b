//! Cluster image, configuration definitions and the metadata store behind them.
