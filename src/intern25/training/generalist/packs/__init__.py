# SPDX-License-Identifier: MIT
"""Tasks of the data packs that train ``intern25_tiny``, one file a kind of data."""
