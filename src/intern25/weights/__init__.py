# SPDX-License-Identifier: MIT
"""Published and own weights: the catalog, creating, loading, converting and saving models."""
