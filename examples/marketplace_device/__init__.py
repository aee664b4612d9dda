"""A device with a camera in a marketplace: live answers from an index, and a bad version that its fleet sends back.

``python -m examples.marketplace_device DIR``; the README says what happens.
"""
