//! Access control lists: who may do what with which resource, and how bindings are filtered and found (KIP-11, KIP-290).
//!
//! Always true:
//!   an [`AclIndex`] holds no binding twice
//!   every binding that can concern a resource is either literal with its name, literal with `*`, or prefixed with a
//!   prefix of its name; [`AclIndex::matching`] yields exactly those

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The name of a literal binding that stands for every name of its resource type.
pub const WILDCARD: &str = "*";
/// The only name of [`ResourceType::Cluster`].
pub const CLUSTER_NAME: &str = "kafka-cluster";

/// Gives an enum its wire codes and its names in Kafka's spelling.
macro_rules! coded {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $name {
            /// Every value, in the order of the codes.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The number on the wire.
            pub const fn code(self) -> i8 {
                match self { $($name::$variant => $code,)* }
            }

            /// The value with this number, unless it is none of a stored binding (unknown, any).
            pub const fn from_code(code: i8) -> Option<$name> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }

            /// The name in upper case, as Kafka's tools and messages spell it.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The value with this name, in upper or lower case.
            pub fn from_name(name: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|value| value.name().eq_ignore_ascii_case(name))
            }
        }
    };
}

coded! {
    /// What is protected.
    ResourceType {
        /// Topics, by name.
        Topic = 2 "TOPIC",
        /// Groups of every kind, by id.
        Group = 3 "GROUP",
        /// The cluster; its name is [`CLUSTER_NAME`].
        Cluster = 4 "CLUSTER",
        /// Transactional ids of producers.
        TransactionalId = 5 "TRANSACTIONAL_ID",
        /// Delegation tokens, by id.
        DelegationToken = 6 "DELEGATION_TOKEN",
        /// Users, by principal; for creating and describing their tokens (KIP-373).
        User = 7 "USER",
    }
}

coded! {
    /// How a binding's name is compared with a resource's.
    PatternType {
        /// Equal, or `*` for every name.
        Literal = 3 "LITERAL",
        /// The resource's name starts with it.
        Prefixed = 4 "PREFIXED",
    }
}

coded! {
    /// What is done with a resource.
    AclOperation {
        /// Every operation.
        All = 2 "ALL",
        /// Reads data.
        Read = 3 "READ",
        /// Writes data.
        Write = 4 "WRITE",
        /// Creates the resource.
        Create = 5 "CREATE",
        /// Deletes the resource.
        Delete = 6 "DELETE",
        /// Changes the resource.
        Alter = 7 "ALTER",
        /// Sees that the resource exists, and its state.
        Describe = 8 "DESCRIBE",
        /// What brokers do among themselves.
        ClusterAction = 9 "CLUSTER_ACTION",
        /// Sees configurations.
        DescribeConfigs = 10 "DESCRIBE_CONFIGS",
        /// Changes configurations.
        AlterConfigs = 11 "ALTER_CONFIGS",
        /// Writes as an idempotent producer.
        IdempotentWrite = 12 "IDEMPOTENT_WRITE",
        /// Creates delegation tokens for a user.
        CreateTokens = 13 "CREATE_TOKENS",
        /// Sees delegation tokens of a user.
        DescribeTokens = 14 "DESCRIBE_TOKENS",
        /// Takes part in transactions with an external coordinator (KIP-939).
        TwoPhaseCommit = 15 "TWO_PHASE_COMMIT",
    }
}

coded! {
    /// Whether a binding grants or forbids.
    AclPermission {
        /// Forbids, whatever other bindings grant.
        Deny = 2 "DENY",
        /// Grants.
        Allow = 3 "ALLOW",
    }
}

/// One entry: `principal` from `host` may, or may not, do `operation` with the resources that the pattern matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclBinding {
    /// The kind of resource.
    pub resource_type: ResourceType,
    /// How `resource_name` is compared.
    pub pattern_type: PatternType,
    /// A name, a prefix, or `*`.
    pub resource_name: String,
    /// For example `User:alice`; `User:*` is everybody.
    pub principal: String,
    /// The client's address, or `*`.
    pub host: String,
    /// What is done.
    pub operation: AclOperation,
    /// Whether it may be done.
    pub permission: AclPermission,
}

/// How a filter compares names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternFilter {
    /// Bindings of every pattern type with exactly this name.
    Any,
    /// Bindings that concern a resource of this name: its own, the wildcard's and those of its prefixes.
    Match,
    /// Bindings of one pattern type with exactly this name.
    Exactly(PatternType),
}

impl PatternFilter {
    /// The number on the wire.
    pub const fn code(self) -> i8 {
        match self {
            PatternFilter::Any => 1,
            PatternFilter::Match => 2,
            PatternFilter::Exactly(pattern_type) => pattern_type.code(),
        }
    }

    /// The filter with this number.
    pub const fn from_code(code: i8) -> Option<PatternFilter> {
        match code {
            1 => Some(PatternFilter::Any),
            2 => Some(PatternFilter::Match),
            other => match PatternType::from_code(other) {
                Some(pattern_type) => Some(PatternFilter::Exactly(pattern_type)),
                None => None,
            },
        }
    }
}

/// Which bindings are meant; `None` means any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclFilter {
    /// The kind of resource.
    pub resource_type: Option<ResourceType>,
    /// How `resource_name` is compared.
    pub pattern: PatternFilter,
    /// The name.
    pub resource_name: Option<String>,
    /// The principal.
    pub principal: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The operation.
    pub operation: Option<AclOperation>,
    /// The permission.
    pub permission: Option<AclPermission>,
}

impl AclFilter {
    /// Every binding.
    pub const fn any() -> AclFilter {
        AclFilter {
            resource_type: None,
            pattern: PatternFilter::Any,
            resource_name: None,
            principal: None,
            host: None,
            operation: None,
            permission: None,
        }
    }

    /// Whether `binding` is meant.
    pub fn matches(&self, binding: &AclBinding) -> bool {
        fn same<T: PartialEq>(wanted: &Option<T>, found: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        }
        same(&self.resource_type, &binding.resource_type)
            && self.matches_pattern(binding)
            && same(&self.principal, &binding.principal)
            && same(&self.host, &binding.host)
            && same(&self.operation, &binding.operation)
            && same(&self.permission, &binding.permission)
    }

    fn matches_pattern(&self, binding: &AclBinding) -> bool {
        if let PatternFilter::Exactly(pattern_type) = self.pattern
            && pattern_type != binding.pattern_type
        {
            return false;
        }
        let Some(name) = &self.resource_name else { return true };
        match (self.pattern, binding.pattern_type) {
            (PatternFilter::Match, PatternType::Literal) => {
                binding.resource_name == *name || binding.resource_name == WILDCARD
            }
            (PatternFilter::Match, PatternType::Prefixed) => name.starts_with(&binding.resource_name),
            _ => binding.resource_name == *name,
        }
    }
}

/// Every binding of the cluster, found by resource.
#[derive(Debug, Clone, Default)]
pub struct AclIndex {
    bindings: BTreeSet<Arc<AclBinding>>,
    by_type: BTreeMap<ResourceType, TypeIndex>,
}

/// The bindings of one resource type.
#[derive(Debug, Clone, Default)]
struct TypeIndex {
    literal: HashMap<String, Vec<Arc<AclBinding>>>,
    prefixed: HashMap<String, Vec<Arc<AclBinding>>>,
    /// The lengths in bytes of the prefixes, with how many prefixes have them: only these are looked up.
    prefix_lengths: BTreeMap<usize, usize>,
}

impl AclIndex {
    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether there is no binding.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Every binding, sorted by resource.
    pub fn iter(&self) -> impl Iterator<Item = &AclBinding> {
        self.bindings.iter().map(|binding| &**binding)
    }

    /// Whether exactly this binding is there.
    pub fn contains(&self, binding: &AclBinding) -> bool {
        self.bindings.contains(binding)
    }

    /// The bindings that concern the resource `name`: literal, wildcard and prefixed.
    pub fn matching<'a>(
        &'a self,
        resource_type: ResourceType,
        name: &'a str,
    ) -> impl Iterator<Item = &'a AclBinding> + 'a {
        self.by_type.get(&resource_type).into_iter().flat_map(move |index| index.matching(name))
    }

    /// Every binding of one resource type, whatever its pattern.
    pub fn of_type(&self, resource_type: ResourceType) -> impl Iterator<Item = &AclBinding> {
        let index = self.by_type.get(&resource_type).into_iter();
        index
            .flat_map(|index| index.literal.values().chain(index.prefixed.values()).flatten())
            .map(|binding| &**binding)
    }

    /// Adds a binding; false when it was there.
    pub(crate) fn insert(&mut self, binding: AclBinding) -> bool {
        let binding = Arc::new(binding);
        if !self.bindings.insert(binding.clone()) {
            return false;
        }
        self.by_type.entry(binding.resource_type).or_default().insert(binding);
        true
    }

    /// Takes a binding away; false when it was not there.
    pub(crate) fn remove(&mut self, binding: &AclBinding) -> bool {
        if !self.bindings.remove(binding) {
            return false;
        }
        if let Some(index) = self.by_type.get_mut(&binding.resource_type) {
            index.remove(binding);
        }
        true
    }
}

impl TypeIndex {
    fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a AclBinding> + 'a {
        let literal = self.literal.get(name).filter(|_| name != WILDCARD);
        let wildcard = self.literal.get(WILDCARD);
        let prefixes = self.prefix_lengths.keys().filter_map(move |length| self.prefixed.get(name.get(..*length)?));
        literal.into_iter().chain(wildcard).chain(prefixes).flatten().map(|binding| &**binding)
    }

    fn insert(&mut self, binding: Arc<AclBinding>) {
        let name = binding.resource_name.clone();
        match binding.pattern_type {
            PatternType::Literal => self.literal.entry(name).or_default().push(binding),
            PatternType::Prefixed => {
                let length = name.len();
                let bindings = self.prefixed.entry(name).or_default();
                if bindings.is_empty() {
                    *self.prefix_lengths.entry(length).or_default() += 1;
                }
                bindings.push(binding);
            }
        }
    }

    fn remove(&mut self, binding: &AclBinding) {
        let names = match binding.pattern_type {
            PatternType::Literal => &mut self.literal,
            PatternType::Prefixed => &mut self.prefixed,
        };
        let Some(bindings) = names.get_mut(&binding.resource_name) else { return };
        bindings.retain(|kept| **kept != *binding);
        if !bindings.is_empty() {
            return;
        }
        names.remove(&binding.resource_name);
        if binding.pattern_type == PatternType::Prefixed {
            let length = binding.resource_name.len();
            if let Some(count) = self.prefix_lengths.get_mut(&length) {
                *count -= 1;
                if *count == 0 {
                    self.prefix_lengths.remove(&length);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
