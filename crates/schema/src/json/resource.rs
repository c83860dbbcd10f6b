//! Which schema a `$ref` means: documents, the identifiers inside of them, and the references of a registry.

use std::collections::HashMap;

use crate::document::Node;

/// The version of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Draft {
    /// Draft 4.
    Four,
    /// Draft 6.
    Six,
    /// Draft 7, also meant by a schema that states none.
    Seven,
    /// 2019-09.
    Of2019,
    /// 2020-12.
    Of2020,
}

impl Draft {
    /// What `$schema` says.
    pub fn of(document: &Node) -> Self {
        let stated = document.get("$schema").and_then(Node::as_str).unwrap_or_default();
        let stated = stated.trim_end_matches('#').trim_start_matches("https").trim_start_matches("http");
        match stated {
            "://json-schema.org/draft-04/schema" => Draft::Four,
            "://json-schema.org/draft-06/schema" => Draft::Six,
            "://json-schema.org/draft/2019-09/schema" => Draft::Of2019,
            "://json-schema.org/draft/2020-12/schema" => Draft::Of2020,
            _ => Draft::Seven,
        }
    }

    /// Whether members beside a `$ref` count.
    pub fn reads_beside_ref(self) -> bool {
        self >= Draft::Of2019
    }
}

/// The number of a resource: a document, or a part of one with an identifier of its own.
pub type ResourceId = usize;

struct Resource<'a> {
    uri: String,
    root: &'a Node,
    draft: Draft,
}

/// Everything that a schema can refer to.
pub struct Resources<'a> {
    resources: Vec<Resource<'a>>,
    by_uri: HashMap<String, ResourceId>,
    by_root: HashMap<*const Node, ResourceId>,
    anchors: HashMap<(ResourceId, String), &'a Node>,
}

/// What the meta-schemas allow is not compared: a reference to one of them admits everything.
static ANYTHING: Node = Node::Bool(true);

impl<'a> Resources<'a> {
    /// `document` and what it refers to by name.
    pub fn new(document: &'a Node, references: &'a [(String, Node)]) -> Self {
        let mut resources = Resources {
            resources: Vec::new(),
            by_uri: HashMap::new(),
            by_root: HashMap::new(),
            anchors: HashMap::new(),
        };
        resources.add_document(document, None, "");
        let base = resources.resources[0].uri.clone();
        for (name, referenced) in references {
            let id = resources.add_document(referenced, Some(name), &base);
            let path = name.strip_prefix("./").unwrap_or(name);
            for uri in [name.clone(), path.to_owned(), resolve_uri(&base, name)] {
                resources.by_uri.entry(without_fragment(&uri).to_owned()).or_insert(id);
            }
        }
        resources
    }

    /// The draft of a resource.
    pub fn draft(&self, id: ResourceId) -> Draft {
        self.resources[id].draft
    }

    /// The resource whose root `node` is, else `outer`.
    pub fn resource_of(&self, node: &'a Node, outer: ResourceId) -> ResourceId {
        self.by_root.get(&std::ptr::from_ref(node)).copied().unwrap_or(outer)
    }

    /// What `reference` means inside of the resource `from`.
    pub fn resolve(&self, reference: &str, from: ResourceId) -> Option<(&'a Node, ResourceId)> {
        let uri = without_fragment(reference);
        let fragment = reference.get(uri.len() + 1..).unwrap_or_default();
        let id = if uri.is_empty() { from } else { self.find(uri, from)? };
        if id == usize::MAX {
            return Some((&ANYTHING, 0));
        }
        let root = self.resources[id].root;
        if fragment.is_empty() {
            return Some((root, id));
        }
        match percent_decoded(fragment).strip_prefix('/') {
            Some(pointer) => self.walk(root, id, pointer),
            None => self.anchors.get(&(id, fragment.to_owned())).map(|node| (*node, id)),
        }
    }

    fn find(&self, uri: &str, from: ResourceId) -> Option<ResourceId> {
        let absolute = resolve_uri(&self.resources[from].uri, uri);
        let plain = uri.strip_prefix("./").unwrap_or(uri);
        let known = [absolute.as_str(), uri, plain].iter().find_map(|uri| self.by_uri.get(*uri).copied());
        let is_meta_schema = || absolute.contains("://json-schema.org/draft").then_some(usize::MAX);
        known.or_else(is_meta_schema)
    }

    /// Follows a JSON pointer; `definitions` and `$defs` stand for each other.
    fn walk(&self, root: &'a Node, id: ResourceId, pointer: &str) -> Option<(&'a Node, ResourceId)> {
        let mut place = (root, id);
        for segment in pointer.split('/') {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            let alias = match segment.as_str() {
                "definitions" => "$defs",
                "$defs" => "definitions",
                _ => "",
            };
            let next = match place.0 {
                Node::Object(members) => members.get(&segment).or_else(|| members.get(alias))?,
                Node::Array(elements) => elements.get(segment.parse::<usize>().ok()?)?,
                _ => return None,
            };
            place = (next, self.resource_of(next, place.1));
        }
        Some(place)
    }

    /// Adds a document and every part of it that has an identifier. Answers its number.
    fn add_document(&mut self, document: &'a Node, name: Option<&str>, base: &str) -> ResourceId {
        let draft = Draft::of(document);
        let own = identifier(document, draft).map(|id| resolve_uri(base, id));
        let uri = own.or_else(|| name.map(|name| resolve_uri(base, name))).unwrap_or_default();
        let root = self.add_resource(document, without_fragment(&uri), draft);
        let mut open = vec![(document, root)];
        while let Some((node, mut resource)) = open.pop() {
            match node {
                Node::Object(members) => {
                    if !std::ptr::eq(node, document)
                        && let Some(id) = identifier(node, draft)
                    {
                        match id.strip_prefix('#') {
                            Some(anchor) => {
                                self.anchors.insert((resource, anchor.to_owned()), node);
                            }
                            None => {
                                let uri = resolve_uri(&self.resources[resource].uri, id);
                                resource = self.add_resource(node, without_fragment(&uri), draft);
                            }
                        }
                    }
                    for keyword in ["$anchor", "$dynamicAnchor"] {
                        if let Some(anchor) = members.get(keyword).and_then(Node::as_str) {
                            self.anchors.insert((resource, anchor.to_owned()), node);
                        }
                    }
                    let inner = members.iter().filter(|(name, _)| !is_data(name));
                    open.extend(inner.map(|(_, value)| (value, resource)));
                }
                Node::Array(elements) => open.extend(elements.iter().map(|element| (element, resource))),
                _ => {}
            }
        }
        root
    }

    fn add_resource(&mut self, root: &'a Node, uri: &str, draft: Draft) -> ResourceId {
        let id = self.resources.len();
        self.resources.push(Resource { uri: uri.to_owned(), root, draft });
        self.by_root.insert(std::ptr::from_ref(root), id);
        if !uri.is_empty() {
            self.by_uri.entry(uri.to_owned()).or_insert(id);
        }
        id
    }
}

/// Keywords whose values are data and not schemas.
fn is_data(keyword: &str) -> bool {
    matches!(keyword, "enum" | "const" | "default" | "examples" | "example")
}

fn identifier(node: &Node, draft: Draft) -> Option<&str> {
    let keyword = if draft == Draft::Four { "id" } else { "$id" };
    node.get(keyword)?.as_str()
}

fn without_fragment(uri: &str) -> &str {
    uri.split('#').next().unwrap_or_default()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hexadecimal = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hexadecimal.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `reference` seen from `base` (RFC 3986, section 5.2), also where `base` has no scheme.
fn resolve_uri(base: &str, reference: &str) -> String {
    let scheme_end = |uri: &str| {
        let end = uri.find(':')?;
        let scheme = uri[..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        (scheme && end > 0).then_some(end)
    };
    if scheme_end(reference).is_some() {
        return reference.to_owned();
    }
    let base = without_fragment(base);
    if reference.is_empty() || reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let (origin, path) = match base.find("://") {
        Some(end) => {
            let path = base[end + 3..].find('/').map_or(base.len(), |slash| end + 3 + slash);
            base.split_at(path)
        }
        None => base.split_at(scheme_end(base).map_or(0, |end| end + 1)),
    };
    if let Some(path) = reference.strip_prefix("//") {
        return format!("{}//{path}", &origin[..scheme_end(origin).map_or(0, |end| end + 1)]);
    }
    if reference.starts_with('/') {
        return format!("{origin}{}", without_dots(reference));
    }
    let directory = path.rfind('/').map_or(if base.contains("://") { "/" } else { "" }, |slash| &path[..=slash]);
    format!("{origin}{}", without_dots(&format!("{directory}{reference}")))
}

/// Takes `.` and `..` out of a path.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." => {
                if kept.last().is_some_and(|last| !last.is_empty()) {
                    kept.pop();
                }
            }
            segment => kept.push(segment),
        }
    }
    kept.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_against_their_base() {
        for (base, reference, expected) in [
            ("http://a.com/b/c.json", "d.json", "http://a.com/b/d.json"),
            ("http://a.com/b/c.json", "./d.json#/x", "http://a.com/b/d.json#/x"),
            ("http://a.com/b/c.json", "../d.json", "http://a.com/d.json"),
            ("http://a.com/b/c.json", "/d.json", "http://a.com/d.json"),
            ("http://a.com", "d.json", "http://a.com/d.json"),
            ("http://a.com/b", "https://x.org/y", "https://x.org/y"),
            ("http://a.com/b", "//x.org/y", "http://x.org/y"),
            ("http://a.com/b#frag", "#/x", "http://a.com/b#/x"),
            ("schemas/c.json", "d.json", "schemas/d.json"),
            ("", "./d.json", "d.json"),
            ("urn:a:b", "urn:c", "urn:c"),
        ] {
            assert_eq!(resolve_uri(base, reference), expected, "{reference} from {base}");
        }
    }
}
