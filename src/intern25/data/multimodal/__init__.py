# SPDX-License-Identifier: MIT
"""Pictures with text: captions, questions, statements and words to read, in English and Chinese."""
