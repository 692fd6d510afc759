# All images: `docker buildx bake`, or `scripts/images` where there is only buildah, or no registry to take Debian from.
variable "REGISTRY" { default = "localhost/veg" }
variable "VERSION" { default = "dev" }
# A release pins it by digest: DEBIAN=docker.io/library/debian:bookworm-slim@sha256:…
variable "DEBIAN" { default = "docker.io/library/debian:bookworm-slim" }

group "default" {
  targets = ["watcher", "planner", "ovn-writer", "kube-writer", "bus-auth", "gw-agent", "migrations", "vegctl"]
}

target "common" {
  context = "."
  args = { REGISTRY = REGISTRY, VERSION = VERSION, DEBIAN = DEBIAN }
}

target "tools" {
  inherits   = ["common"]
  dockerfile = "images/base/Dockerfile"
  target     = "tools"
}

target "base" {
  inherits   = ["common"]
  dockerfile = "images/base/Dockerfile"
  target     = "base"
}

target "on-base" {
  inherits = ["common"]
  contexts = {
    "${REGISTRY}/tools:${VERSION}" = "target:tools"
    "${REGISTRY}/base:${VERSION}"  = "target:base"
  }
}

target "service" {
  name       = service
  matrix     = { service = ["watcher", "planner", "ovn-writer", "kube-writer", "bus-auth", "gw-agent"] }
  inherits   = ["on-base"]
  dockerfile = "services/${service}/Dockerfile"
  tags       = ["${REGISTRY}/${service}:${VERSION}"]
}

target "migrations" {
  inherits   = ["on-base"]
  dockerfile = "migrations/Dockerfile"
  tags       = ["${REGISTRY}/migrations:${VERSION}"]
}

target "vegctl" {
  inherits   = ["on-base"]
  dockerfile = "cli/Dockerfile"
  tags       = ["${REGISTRY}/vegctl:${VERSION}"]
}

# What the lab's pods run that are no gateways; only a lab needs it.
target "lab-client" {
  inherits   = ["common"]
  dockerfile = "lab/images/client/Dockerfile"
  tags       = ["${REGISTRY}/lab-client:${VERSION}"]
}
