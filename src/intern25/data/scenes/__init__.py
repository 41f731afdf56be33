# SPDX-License-Identifier: MIT
"""Street scenes: worlds of roads, traffic, lights and signs, their pictures, and texts about them."""
