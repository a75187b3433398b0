mod evidence;
mod games;
