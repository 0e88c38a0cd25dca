"""The operations of NGSIv1 in FogFlow's spelling, over the one engine."""
