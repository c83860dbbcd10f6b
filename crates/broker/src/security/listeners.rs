//! What each listener demands of a connection before it serves requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milena_metadata::{BrokerConfig, Controller, MetadataChange, SecurityProtocol};
use milena_stdx::{Clock, ShutdownToken};

use super::sasl::{SaslListener, SaslSetupError};
use super::tls::{TlsError, TlsListener};

/// How often the files of key and trust stores are looked at.
const FILES_CHECKED_EVERY: Duration = Duration::from_secs(5);

/// Why a listener cannot be opened securely.
#[derive(Debug, thiserror::Error)]
pub enum ListenerSecurityError {
    /// TLS cannot be spoken.
    #[error("listener {listener}: {source}")]
    Tls {
        /// The listener.
        listener: String,
        /// Why.
        source: TlsError,
    },
    /// SASL cannot be offered.
    #[error("listener {listener}: {source}")]
    Sasl {
        /// The listener.
        listener: String,
        /// Why.
        source: SaslSetupError,
    },
}

/// The security of every listener, by name.
pub struct ListenerSecurity {
    by_name: BTreeMap<String, Arc<SecuredListener>>,
}

/// The security of one listener.
pub(crate) struct SecuredListener {
    pub(crate) tls: Option<TlsListener>,
    pub(crate) sasl: Option<Arc<SaslListener>>,
}

impl ListenerSecurity {
    /// Loads certificates and checks what SASL needs.
    ///
    /// # Errors
    /// The first listener that cannot do what its protocol says.
    pub(crate) fn open(
        config: &BrokerConfig,
        controller: &Arc<Controller>,
        clock: &Arc<dyn Clock>,
    ) -> Result<ListenerSecurity, ListenerSecurityError> {
        let mut by_name = BTreeMap::new();
        for listener in &config.listeners {
            let name = || listener.name.clone();
            let protocol = listener.security_protocol;
            let tls = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl)
                .then(|| TlsListener::open(controller.clone(), &listener.name))
                .transpose()
                .map_err(|source| ListenerSecurityError::Tls { listener: name(), source })?;
            let sasl = matches!(protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl)
                .then(|| SaslListener::open(controller.clone(), clock.clone(), &listener.name))
                .transpose()
                .map_err(|source| ListenerSecurityError::Sasl { listener: name(), source })?;
            by_name.insert(name(), Arc::new(SecuredListener { tls, sasl: sasl.map(Arc::new) }));
        }
        Ok(ListenerSecurity { by_name })
    }

    /// What the listener called `name` demands.
    pub(crate) fn of(&self, name: &str) -> Option<&Arc<SecuredListener>> {
        self.by_name.get(name)
    }

    /// Loads certificates again where files or settings have changed.
    pub(crate) fn reload_if_changed(&self) {
        for tls in self.by_name.values().filter_map(|listener| listener.tls.as_ref()) {
            tls.reload_if_changed();
        }
    }

    fn has_tls(&self) -> bool {
        self.by_name.values().any(|listener| listener.tls.is_some())
    }
}

/// Lets TLS follow changes of the configuration, before they are answered, and of files, within seconds.
pub(crate) fn follow_changes(security: &Arc<ListenerSecurity>, controller: &Controller, shutdown: ShutdownToken) {
    if !security.has_tls() {
        return;
    }
    let on_change = security.clone();
    controller.on_change(move |_, changes| {
        if changes.iter().any(|change| matches!(change, MetadataChange::BrokerConfigChanged)) {
            on_change.reload_if_changed();
        }
    });
    let security = security.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(FILES_CHECKED_EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            let security = security.clone();
            // Reads files. That it cannot be joined means that the broker is stopping.
            let _ = tokio::task::spawn_blocking(move || security.reload_if_changed()).await;
        }
    });
}
