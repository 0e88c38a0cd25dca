"""NGSIv1 as FogFlow's broker spells it: with JSON values, and domain metadata of entities.

A codec and nothing more, as `ngsi.v1`. The operations that FogFlow has take Orion's spelling of a
request as well: `id`, `type` and `isPattern` flat in a context element, `metadatas`, scopes with
`type` and `value`. Fields that nobody knows are left aside, as FogFlow does.
Source: github.com/smartfog/fogflow, common/ngsi and broker; "API Walkthrough" of its manual.
"""
